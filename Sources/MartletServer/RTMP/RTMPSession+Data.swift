// SPDX-License-Identifier: Apache-2.0
// Application data over RTMP: `sendData` and the events of rooms, with the payloads of the WebSocket protocol as AMF objects.
import Logging
import RTMP
import Signalling

extension RTMPSession {
    /// A command of the client that is not about streams.
    func receive(_ call: RTMPCall) async {
        guard call.name == "sendData" else {
            logger.debug("unknown RTMP command", metadata: ["command": "\(call.name.prefix(64))"])
            return connection.perform { $0.refuse(call, "There is no method \"\(call.name.prefix(64))\"") }
        }
        guard let data = Self.data(of: call) else {
            return connection.perform { $0.refuse(call, "sendData needs an object with operationId and payload") }
        }
        let outcome = await application.receive(data, from: link)
        var info: String?
        if case .refused(let reason) = outcome { info = reason } else { note(data.payload) }
        let status = DataStatus(operationID: data.operationID, isAccepted: info == nil, info: info)
        connection.perform { session in
            session.answer(call, AMF0Value(status.json))
            if !data.operationID.isEmpty { session.invoke("DataStatusEvent", [AMF0Value(status.json)]) }
        }
    }

    /// `{operationId, payload}` as an object or as JSON text.
    static func data(of call: RTMPCall) -> DataRequest? {
        // Behind the command object; clients that leave that out put it in its place.
        for argument in [call.argument(0), call.arguments.first] {
            switch argument {
            case .object?, .ecmaArray?: return argument.map { DataRequest(JSONValue($0)) }
            case .string(let text)?: return (try? JSONValue(parsing: text)).map { DataRequest($0) }
            default: break
            }
        }
        return nil
    }

    /// Keeps in mind which rooms the client is in: the names of its streams say for which they are.
    private func note(_ payload: JSONValue) {
        guard case .string(let command)? = payload["command"], case .string(let room)? = payload["options"]?["name"] else { return }
        switch command {
        case "join": if !rooms.contains(room) { rooms.append(room) }
        case "leave": rooms.removeAll { $0 == room }
        default: break
        }
    }

    /// An envelope of an application becomes a call of the client's method of that name.
    func deliver(_ text: String) {
        guard let envelope = try? Envelope(parsing: text) else { return }
        let arguments = envelope.data.map { AMF0Value($0) }
        connection.perform { $0.invoke(envelope.message, arguments) }
    }
}
