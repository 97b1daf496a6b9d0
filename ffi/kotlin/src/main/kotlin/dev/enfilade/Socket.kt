package dev.enfilade

import dev.enfilade.ffi.Input
import kotlinx.coroutines.channels.SendChannel
import kotlinx.coroutines.channels.trySendBlocking
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString
import okio.ByteString.Companion.encodeUtf8
import okio.ByteString.Companion.toByteString

/**
 * One connection. What becomes of it goes into `inputs`; when that is full the reading thread waits, and TCP makes the
 * server wait.
 */
internal class Socket(
    http: OkHttpClient,
    url: String,
    subprotocol: String,
    private val generation: Long,
    private val inputs: SendChannel<Input>,
) : WebSocketListener() {
    private val socket: WebSocket =
        http.newWebSocket(
            Request
                .Builder()
                .url(url)
                .header("Sec-WebSocket-Protocol", subprotocol)
                .build(),
            this,
        )

    fun send(bytes: ByteArray) {
        socket.send(bytes.toByteString())
    }

    fun close(
        code: Int,
        reason: String,
    ) {
        socket.close(code, reason)
    }

    fun cancel() = socket.cancel()

    override fun onOpen(
        webSocket: WebSocket,
        response: Response,
    ) = hand(Input.Connected(generation))

    override fun onMessage(
        webSocket: WebSocket,
        bytes: ByteString,
    ) = hand(Input.Frame(generation, bytes.toByteArray()))

    /** Text has no meaning on the binary protocol; the core counts it as such. */
    override fun onMessage(
        webSocket: WebSocket,
        text: String,
    ) = hand(Input.Frame(generation, text.encodeUtf8().toByteArray()))

    override fun onClosing(
        webSocket: WebSocket,
        code: Int,
        reason: String,
    ) {
        webSocket.close(NORMAL, null)
        hand(Input.Disconnected(generation, code, reason))
    }

    override fun onFailure(
        webSocket: WebSocket,
        t: Throwable,
        response: Response?,
    ) = hand(Input.Disconnected(generation, ABNORMAL, t.message ?: t.javaClass.simpleName))

    private fun hand(input: Input) {
        // Fails when the client is closed, and nobody is interested any more.
        inputs.trySendBlocking(input)
    }

    private companion object {
        const val NORMAL = 1000

        /** What WebSocket says where there is no close code. */
        const val ABNORMAL = 1006
    }
}
