# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: server processes, browsers, and WCS clients that share no code with the server."""
