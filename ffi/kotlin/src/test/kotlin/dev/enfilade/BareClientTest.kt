package dev.enfilade

import dev.enfilade.ffi.ClientSettings
import dev.enfilade.ffi.Effect
import dev.enfilade.ffi.EnfiladeClient
import dev.enfilade.ffi.FfiException
import dev.enfilade.ffi.Input
import dev.enfilade.ffi.OpId
import dev.enfilade.ffi.RoomVisibility
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread

/** The generated client by itself, without a server. */
class BareClientTest {
    private val client = EnfiladeClient(ClientSettings("test"), 7, NOW)

    @Test
    fun `four threads that write into one room wait for each other`() {
        val room = client.handle(Input.CreateRoom("Parlour", RoomVisibility.PUBLIC, ""), NOW).room!!
        val made = ConcurrentLinkedQueue<OpId>()
        val failures = ConcurrentLinkedQueue<Throwable>()
        val write = {
            repeat(MESSAGES) {
                val step = client.handle(Input.Post(room, "message $it", emptyList()), NOW)
                assertTrue(step.effects.any { effect -> effect is Effect.Persist })
                made.add(step.opId!!)
            }
        }
        (1..4).map { thread { runCatching(write).onFailure(failures::add) } }.forEach(Thread::join)

        assertEquals(emptyList<Throwable>(), failures.toList())
        assertEquals(4 * MESSAGES, made.toSet().size)
        val pending = client.pending(room).filter { it.text != null }
        assertEquals(made.sortedBy { it.counter }, pending.map { it.id })
    }

    @Test
    fun `garbage from the socket is counted, and breaks nothing`() {
        client.handle(Input.SetToken("token"), NOW)
        val effects = client.handle(Input.Connect, NOW).effects
        val generation = effects.filterIsInstance<Effect.Connect>().single().generation
        client.handle(Input.Connected(generation), NOW)
        val random = java.util.Random(1)
        repeat(1_000) {
            val bytes = ByteArray(random.nextInt(64)).also(random::nextBytes)
            client.handle(Input.Frame(generation, bytes), NOW)
        }
        client.handle(Input.Frame(generation, ByteArray(1 shl 20)), NOW)
        client.handle(Input.Disconnected(generation, Int.MIN_VALUE, ""), NOW)
        assertTrue(client.connection().framesIn > 0)
    }

    @Test
    fun `an argument that is not what it should be is an exception with its code`() {
        val error = assertThrows<FfiException.Coded> { client.room("no room") }
        assertEquals("invalid_room_id", error.code.name)
        assertTrue(error.message.contains("invalid_room_id"), error.message)
    }

    @Test
    fun `a client that is destroyed says so`() {
        client.destroy()
        assertThrows<IllegalStateException> { client.connection() }
    }

    private companion object {
        const val NOW = 1_000L
        const val MESSAGES = 250
    }
}
