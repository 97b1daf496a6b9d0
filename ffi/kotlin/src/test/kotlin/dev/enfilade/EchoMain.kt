package dev.enfilade

import com.google.gson.JsonObject
import dev.enfilade.ffi.Message
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.runBlocking
import kotlin.system.exitProcess

/**
 * `EchoMainKt SERVER ROOM TEXT UNTIL`: joins a room, posts a text, prints each message as a line of JSON, and ends when
 * it has seen one whose text is UNTIL. End-to-end tests run it beside a browser.
 */
fun main(args: Array<String>) {
    val (server, room, text, until) = args
    runBlocking { echo(server, room, text, until) }
    // OkHttp's idle threads would keep the process for a minute.
    exitProcess(0)
}

private suspend fun echo(
    server: String,
    room: String,
    text: String,
    until: String,
) {
    Enfilade(socketUrl(server)) { guestToken(server, "Kotlin") }.use { client ->
        client.join(room)
        client.post(room, text)
        var printed = 0L
        client
            .room(room)
            .onEach { snapshot ->
                snapshot.messages.filter { it.ordinal > printed }.forEach { message ->
                    println(asJson(message))
                    printed = message.ordinal
                }
            }.first { snapshot -> snapshot.messages.any { it.text == until } && snapshot.pending.isEmpty() }
    }
}

private fun asJson(message: Message): JsonObject =
    JsonObject().apply {
        addProperty("id", "${message.id.client}-${message.id.counter}")
        addProperty("ordinal", message.ordinal)
        addProperty("author", message.author)
        addProperty("author_name", message.authorName)
        addProperty("text", message.text)
    }
