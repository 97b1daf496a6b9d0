package dev.enfilade

import dev.enfilade.ffi.ConnectionStatus
import dev.enfilade.ffi.RoomRow
import dev.enfilade.ffi.RoomTier
import dev.enfilade.ffi.RoomVisibility
import dev.enfilade.ffi.SyncState
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import java.io.IOException
import java.nio.file.Path
import kotlin.time.Duration.Companion.seconds

/** The whole way: Kotlin, the core, a socket, a real server, and back. */
class LiveServerTest {
    private val server = LiveServer()
    private val clients = ArrayList<Enfilade>()

    @AfterEach
    fun end() {
        clients.forEach(Enfilade::close)
        server.close()
    }

    @Test
    fun `two clients make a room, join it and read each other`() =
        live {
            val ada = client("Ada")
            val bob = client("Bob")
            val room = ada.createRoom("Parlour", topic = "Tea at five")
            ada.post(room, "Good morning")
            ada.sees(room, "Good morning")

            bob.join(room)
            bob.post(room, "Hello Ada")
            ada.sees(room, "Good morning", "Hello Ada")
            val seen = bob.sees(room, "Good morning", "Hello Ada")

            assertEquals(listOf("Ada", "Bob"), seen.messages.map { it.authorName })
            assertEquals(listOf(1L, 2L), seen.messages.map { it.ordinal })
            assertEquals("Parlour" to "Tea at five", seen.room.name to seen.room.topic)
            assertEquals(RoomTier.ACTIVE, seen.room.tier)
            assertTrue(seen.room.epoch > 0 && seen.room.bytesIn > 0)
        }

    @Test
    fun `what is written while the server is dead arrives once and in order, and what was cancelled does not`() =
        live {
            val ada = client("Ada")
            val bob = client("Bob")
            val room = ada.createRoom("Parlour")
            ada.post(room, "before")
            ada.sees(room, "before")
            bob.sees(room, "before")

            server.kill()
            within { ada.connection.first { it.status !is ConnectionStatus.Online } }
            ada.post(room, "meanwhile")
            val mistake = ada.post(room, "no, not this")
            val last = ada.post(room, "and then")
            val waiting = within { ada.room(room).first { it.pending.size == 3 } }
            assertEquals(listOf("meanwhile", "no, not this", "and then"), waiting.pending.map { it.text })
            assertEquals(listOf("before"), waiting.messages.map { it.text })
            assertNotEquals(SyncState.Ready, waiting.room.sync)
            ada.cancel(mistake)

            server.start()
            val seen = ada.sees(room, "before", "meanwhile", "and then")
            assertEquals(last, seen.messages.last().id)
            bob.sees(room, "before", "meanwhile", "and then")
        }

    @Test
    fun `a client that ended with unsent messages sends them when it is made again from its records`(
        @TempDir folder: Path,
    ) = live {
        val token = guestToken(server.url, "Ada")
        val first = client(FolderRecords(folder)) { token }
        val room = first.createRoom("Parlour")
        first.post(room, "before")
        first.sees(room, "before")
        server.kill()
        within { first.connection.first { it.status !is ConnectionStatus.Online } }
        val id = first.post(room, "unsent")
        first.close()

        server.start()
        val second = client(FolderRecords(folder)) { token }
        val seen = second.sees(room, "before", "unsent")
        assertEquals(id, seen.messages.last().id)
    }

    @Test
    fun `a token that the server refuses is asked for again`() =
        live {
            var asked = 0
            val ada =
                client(MemoryRecords()) {
                    asked += 1
                    if (asked == 1) "forged" else guestToken(server.url, "Ada")
                }
            val online = within { ada.connection.first { it.status is ConnectionStatus.Online } }
            assertEquals("Ada", online.userName)
            assertEquals(2, asked)
        }

    @Test
    fun `what can't be right is refused with its code before it is sent`() =
        live {
            val ada = client("Ada")
            val room = ada.createRoom("Parlour")
            val refused = assertThrows<RefusedException> { runBlocking { ada.post(room, "x".repeat(4_001)) } }
            assertEquals("invalid_text", refused.code.name)
            val unnamed = assertThrows<RefusedException> { runBlocking { ada.createRoom("\u0000") } }
            assertEquals("invalid_name", unnamed.code.name)
        }

    @Test
    fun `the room list shows public rooms, their last message and what is unread`() =
        live {
            val ada = client("Ada")
            val bob = client("Bob")
            val open = ada.createRoom("Parlour")
            val closed = ada.createRoom("Cellar", RoomVisibility.PRIVATE)
            ada.post(open, "one")
            ada.sees(open, "one")
            bob.join(open)
            bob.sees(open, "one")
            bob.markRead(open)
            ada.post(open, "two")
            ada.sees(open, "one", "two")

            val isAsExpected = { row: RoomRow -> row.id == open && row.lastMessage?.text == "two" && row.unread == 1L }
            val rows = within { bob.rooms.first { it.any(isAsExpected) } }
            val row = rows.single(isAsExpected)
            assertEquals("Parlour", row.name)
            assertTrue(row.isFollowing)
            assertTrue(rows.none { it.id == closed })
        }

    @Test
    fun `who looks at a room of a client that is closed sees the end`() =
        live {
            val ada = client("Ada")
            val room = ada.createRoom("Parlour")
            ada.room(room).first()
            coroutineScope {
                launch(Dispatchers.Default) { within { ada.room(room).collect() } }
                launch(Dispatchers.Default) { within { ada.rooms.collect() } }
                delay(100)
                ada.close()
            }
            assertThrows<IllegalStateException> { runBlocking { ada.post(room, "too late") } }
        }

    @Test
    fun `a full disk is told, and the message goes out all the same`() =
        live {
            val full =
                object : RecordStore {
                    override fun load() = emptyMap<String, ByteArray>()

                    override fun write(
                        key: String,
                        value: ByteArray?,
                    ): Unit = throw IOException("no space left")
                }
            val ada = client(full) { guestToken(server.url, "Ada") }
            val room = ada.createRoom("Parlour")
            ada.post(room, "one")
            ada.sees(room, "one")
            assertEquals("no space left", ada.storageFailure.value?.message)
        }

    private fun live(test: suspend () -> Unit) = runBlocking { test() }

    private fun client(name: String): Enfilade = client(MemoryRecords()) { guestToken(server.url, name) }

    private fun client(
        records: RecordStore,
        token: suspend () -> String,
    ): Enfilade = Enfilade(socketUrl(server.url), records, token = token).also(clients::add)

    /** Waits until the room shows exactly these messages, and nothing is pending in it. */
    private suspend fun Enfilade.sees(
        room: String,
        vararg texts: String,
    ): RoomSnapshot {
        var last: RoomSnapshot? = null
        return runCatching {
            within {
                room(room).first { snapshot ->
                    last = snapshot
                    snapshot.pending.isEmpty() && snapshot.messages.map { it.text } == texts.toList()
                }
            }
        }.getOrElse { throw AssertionError("expected ${texts.toList()}, last saw $last; ${connection.value}", it) }
    }

    private suspend fun <T> within(work: suspend () -> T): T = withTimeout(PATIENCE) { work() }

    private companion object {
        /** Far more than anything takes; back-off after a crash is a few seconds. */
        val PATIENCE = 60.seconds
    }
}
