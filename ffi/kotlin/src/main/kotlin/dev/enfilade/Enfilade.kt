package dev.enfilade

import dev.enfilade.ffi.ClientSettings
import dev.enfilade.ffi.CodeRecord
import dev.enfilade.ffi.Connection
import dev.enfilade.ffi.Effect
import dev.enfilade.ffi.EnfiladeClient
import dev.enfilade.ffi.Event
import dev.enfilade.ffi.Input
import dev.enfilade.ffi.NetworkState
import dev.enfilade.ffi.OpId
import dev.enfilade.ffi.RoomRow
import dev.enfilade.ffi.RoomVisibility
import dev.enfilade.ffi.Step
import dev.enfilade.ffi.StoredRecord
import dev.enfilade.ffi.subprotocol
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.BufferOverflow
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableSharedFlow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.SharedFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asSharedFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import okhttp3.OkHttpClient
import java.io.IOException
import java.security.SecureRandom
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit

/** A command that can't be carried out, as far as the client can tell without asking the server. */
class RefusedException(
    val code: CodeRecord,
    /** Milliseconds after which it may be tried again; 0 where there is no such time. */
    val retryAfter: Long,
) : Exception("${code.name} (${code.number}): ${code.text}")

/**
 * A client of one server.
 *
 * The core decides everything; this class owns its socket, its timer and its records. The core runs on one thread, on
 * which all commands wait their turn, so every function may be called from anywhere. Call [close] when done.
 *
 * @param url of the server's WebSocket, as in `wss://example.org/ws`
 * @param token fetches a token; called again when one has expired
 */
class Enfilade(
    private val url: String,
    private val records: RecordStore = MemoryRecords(),
    private val http: OkHttpClient = OkHttpClient(),
    private val token: suspend () -> String,
) : AutoCloseable {
    private val thread = Executors.newSingleThreadExecutor { Thread(it, "enfilade").apply { isDaemon = true } }
    private val dispatcher = thread.asCoroutineDispatcher()
    private val scope = CoroutineScope(SupervisorJob() + dispatcher)
    private val clock = SteadyClock()
    private val core = EnfiladeClient(ClientSettings(agent = AGENT), SecureRandom().nextLong(), clock.now())

    private val inputs = Channel<Input>(WAITING_INPUTS)
    private val sockets = HashMap<Long, Socket>()
    private val views = HashMap<String, RoomView>()
    private var timer: Job? = null
    private var wakeAt: Long? = null
    private var fetching: Job? = null
    private var tokenWanted = false

    private val connections = MutableStateFlow(core.connection())
    private val failure = MutableStateFlow<IOException?>(null)
    private val rows = Watched<List<RoomRow>>()
    private val notices = MutableSharedFlow<Event>(extraBufferCapacity = WAITING_EVENTS, onBufferOverflow = BufferOverflow.DROP_OLDEST)
    private var watchers = 0

    @Volatile
    private var isClosed = false

    /** Where the connection stands. */
    val connection: StateFlow<Connection> = connections.asStateFlow()

    /** What belongs to no view: rejections, resyncs, mentions, failures. Those that nobody takes in time are dropped. */
    val events: SharedFlow<Event> = notices.asSharedFlow()

    /** Why the last record could not be written; `null` when it was. What is pending is in danger meanwhile. */
    val storageFailure: StateFlow<IOException?> = failure.asStateFlow()

    init {
        scope.launch {
            feed(Input.Restore(records.load().map { (key, value) -> StoredRecord(key, value) }))
            feed(Input.Connect)
            for (input in inputs) {
                if (input is Input.Disconnected) sockets.remove(input.generation)
                feed(input)
            }
        }
    }

    /** A room as it is now and becomes. It is Active while this is collected. Ends when the client is closed. */
    fun room(id: String): Flow<RoomSnapshot> =
        flow {
            val view = on { acquire(id) }
            try {
                emitAll(view.snapshots.values)
            } finally {
                unlessClosed { release(id) }
            }
        }

    /** The room list, kept up to date while this is collected. Ends when the client is closed. */
    val rooms: Flow<List<RoomRow>> =
        flow {
            on { watch(+1) }
            try {
                emitAll(rows.values)
            } finally {
                unlessClosed { watch(-1) }
            }
        }

    /** Makes a room, whose id is returned. It exists for others once the server has confirmed it. */
    suspend fun createRoom(
        name: String,
        visibility: RoomVisibility = RoomVisibility.PUBLIC,
        topic: String = "",
    ): String = checkNotNull(command(Input.CreateRoom(name, visibility, topic)).room)

    /** Becomes a member of the room, which posting asks for. */
    suspend fun join(room: String): OpId = operation(Input.Join(room))

    /** Leaves the room. */
    suspend fun leave(room: String): OpId = operation(Input.Leave(room))

    /** Posts a message. It is pending at once, and sent until the server has answered, whatever happens on the way. */
    suspend fun post(
        room: String,
        text: String,
        mentions: List<String> = emptyList(),
    ): OpId = operation(Input.Post(room, text, mentions))

    /**
     * Asks for any other operation, encoded as `Op` of `proto/op.proto`: moderation, roles, scores; in the user's inbox
     * (`inbox:` and the user's id) friends and status.
     */
    suspend fun submit(
        room: String,
        operation: ByteArray,
    ): OpId = operation(Input.Submit(room, operation))

    /** Gives a message another text: one's own, or anybody's for moderators. It is shown at once. */
    suspend fun editMessage(
        room: String,
        message: OpId,
        text: String,
        mentions: List<String> = emptyList(),
    ): OpId = operation(Input.EditMessage(room, message, text, mentions))

    /** Deletes a message; its place stays. */
    suspend fun deleteMessage(
        room: String,
        message: OpId,
    ): OpId = operation(Input.DeleteMessage(room, message))

    /** Reacts to a message, or takes that back. */
    suspend fun react(
        room: String,
        message: OpId,
        reaction: String,
        removed: Boolean = false,
    ): OpId = operation(Input.React(room, message, reaction, removed))

    /** Pins a message, or unpins it; for moderators. */
    suspend fun pin(
        room: String,
        message: OpId,
        removed: Boolean = false,
    ): OpId = operation(Input.Pin(room, message, removed))

    /** Asks for the messages that are missing before one that says so, by its `gapAfter`. */
    suspend fun fillGap(
        room: String,
        after: Long,
    ) {
        command(Input.FillGap(room, after))
    }

    /** Takes back an operation that was never sent. */
    suspend fun cancel(id: OpId) {
        command(Input.Cancel(id))
    }

    /** Marks all messages of the room as read. */
    suspend fun markRead(room: String) {
        command(Input.MarkRead(room))
    }

    /** Asks for messages before the oldest that is held; they come in the room's next snapshots. */
    suspend fun loadOlder(
        room: String,
        limit: Int,
    ) {
        command(Input.LoadOlder(room, limit))
    }

    /** Keeps what is being typed. */
    suspend fun setDraft(
        room: String,
        text: String,
    ) {
        command(Input.SetDraft(room, text))
    }

    /** Says what the platform knows about network and app. */
    suspend fun network(state: NetworkState) {
        command(Input.Network(state))
    }

    /** Forgets the user and all that is theirs. */
    suspend fun logout() {
        command(Input.Logout)
    }

    /** Ends everything at once. Operations that are not confirmed stay in the records. */
    override fun close() {
        isClosed = true
        scope.cancel()
        inputs.close()
        thread.shutdown()
        // A call into the core that is under way must end before the core goes.
        thread.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS)
        sockets.values.forEach(Socket::cancel)
        views.values.forEach { it.snapshots.end() }
        rows.end()
        core.destroy()
    }

    private suspend fun operation(input: Input): OpId = checkNotNull(command(input).opId)

    private suspend fun command(input: Input): Step {
        val step = on { feed(input) }
        step.refused?.let { throw RefusedException(it.code, it.retryAfter) }
        return step
    }

    private suspend fun <T> on(work: () -> T): T {
        check(!isClosed) { "the client is closed" }
        return withContext(dispatcher) { work() }
    }

    /** For what is undone at an end, which may be that of the client. */
    private suspend fun unlessClosed(work: () -> Unit) {
        if (!isClosed) withContext(NonCancellable + dispatcher) { if (!isClosed) work() }
    }

    /** The one way into the core. */
    private fun feed(input: Input): Step {
        val step = core.handle(input, clock.now())
        step.effects.forEach(::perform)
        step.events.forEach(::announce)
        arm(step.wakeAt)
        return step
    }

    private fun perform(effect: Effect) {
        when (effect) {
            is Effect.Connect -> sockets[effect.generation] = Socket(http, url, subprotocol(), effect.generation, inputs)
            is Effect.Send -> sockets[effect.generation]?.send(effect.bytes)
            is Effect.Close -> sockets.remove(effect.generation)?.close(effect.code, effect.reason)
            is Effect.Persist -> persist(effect.key, effect.value)
            is Effect.Load -> feed(Input.Loaded(effect.key, stored(effect.key)))
        }
    }

    /** What can't be stored is sent all the same. */
    private fun persist(
        key: String,
        value: ByteArray?,
    ) {
        failure.value =
            try {
                records.write(key, value)
                null
            } catch (reason: IOException) {
                reason
            }
    }

    /** What can't be read is as good as absent: the room is loaded from the server. */
    private fun stored(key: String): ByteArray? =
        try {
            records.read(key)
        } catch (_: IOException) {
            null
        }

    private fun announce(event: Event) {
        when (event) {
            is Event.Connection -> connections.value = core.connection()
            is Event.TokenNeeded -> fetchToken()
            is Event.Rooms -> if (watchers > 0) rows.value = core.rooms()
            is Event.Room -> views[event.room]?.update(event.changes)
            else -> notices.tryEmit(event)
        }
    }

    private fun arm(at: Long?) {
        if (at == wakeAt && timer?.isActive == true) return
        timer?.cancel()
        wakeAt = at
        if (at == null) return
        timer =
            scope.launch {
                delay(at - clock.now())
                wakeAt = null
                feed(Input.Timeout)
            }
    }

    private fun fetchToken() {
        tokenWanted = true
        if (fetching?.isActive == true) return
        fetching =
            scope.launch {
                while (tokenWanted) {
                    try {
                        val fresh = token()
                        tokenWanted = false
                        feed(Input.SetToken(fresh))
                    } catch (stopped: CancellationException) {
                        throw stopped
                    } catch (_: Exception) {
                        // The app's source of tokens may be out of reach as the server is; it is asked again.
                    }
                    if (tokenWanted) delay(TOKEN_RETRY_MILLIS)
                }
            }
    }

    private fun acquire(id: String): RoomView {
        feed(Input.Acquire(id))
        val view = views.getOrPut(id) { RoomView(core, id) }
        view.holders += 1
        view.readAll()
        return view
    }

    private fun release(id: String) {
        val view = views[id] ?: return
        view.holders -= 1
        if (view.holders == 0) views.remove(id)
        feed(Input.Release(id))
    }

    private fun watch(change: Int) {
        watchers += change
        feed(Input.WatchRooms(watchers > 0))
        if (watchers > 0) rows.value = core.rooms()
    }

    private companion object {
        const val AGENT = "enfilade-kotlin/0.1.0"

        /** Messages that were read from the socket and wait for the core. */
        const val WAITING_INPUTS = 256

        /** Events that nobody has taken yet. */
        const val WAITING_EVENTS = 64

        /** Pause between two attempts to fetch a token. */
        const val TOKEN_RETRY_MILLIS = 2_000L

        const val CLOSING_SECONDS = 5L
    }
}

/** Milliseconds since 1970 as they were at the start, and then of a clock that nobody sets. */
private class SteadyClock {
    private val start = System.currentTimeMillis()
    private val origin = System.nanoTime()

    fun now(): Long = start + (System.nanoTime() - origin) / 1_000_000
}
