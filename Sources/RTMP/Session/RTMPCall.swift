// SPDX-License-Identifier: Apache-2.0
// A command: a remote procedure call by AMF0, or the answer to one.

public struct RTMPCall: Sendable, Equatable {
    /// `_result` and `_error` answer the call of the same transaction.
    public var name: String
    /// 0: no answer is wanted.
    public var transaction: Double
    /// The command object and what follows it.
    public var arguments: [AMF0Value]
    /// The message stream it is about; 0 = the connection.
    public var streamID: UInt32

    public init(_ name: String, transaction: Double = 0, streamID: UInt32 = 0, _ arguments: [AMF0Value]) {
        self.name = name
        self.transaction = transaction
        self.streamID = streamID
        self.arguments = arguments
    }

    /// Reads a command message. AMF3 ones (type 17) hold AMF0 behind a zero byte. Of the arguments those count that can be read.
    init(_ message: RTMPMessage) throws(RTMPError) {
        let isAMF3 = message.type == RTMPMessageType.commandAMF3
        var reader = AMF0Reader(message.payload, skip: isAMF3 && message.payload.first == 0 ? 1 : 0)
        guard case .string(let name) = try reader.read() else { throw .malformed("a command whose name is no text") }
        // Some calls of old encoders have no transaction.
        let transaction = reader.isAtEnd ? AMF0Value.number(0) : try reader.read()
        self.init(name, transaction: transaction.numberValue ?? 0, streamID: message.streamID, try reader.readReadable())
    }

    var message: RTMPMessage {
        RTMPMessage(
            type: RTMPMessageType.commandAMF0, streamID: streamID,
            payload: AMF0Writer.bytes([.string(name), .number(transaction)] + arguments))
    }

    /// Argument behind the command object.
    public func argument(_ index: Int) -> AMF0Value? {
        arguments.indices.contains(index + 1) ? arguments[index + 1] : nil
    }

    /// The members of `onStatus`, `_error` and the like.
    public static func status(_ code: String, _ description: String, isError: Bool = false, _ more: [AMF0Value.Member] = []) -> AMF0Value {
        .object([
            .init("level", .string(isError ? "error" : "status")), .init("code", .string(code)), .init("description", .string(description)),
        ] + more)
    }
}
