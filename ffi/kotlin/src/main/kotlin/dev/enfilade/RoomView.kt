package dev.enfilade

import dev.enfilade.ffi.EnfiladeClient
import dev.enfilade.ffi.Message
import dev.enfilade.ffi.PendingOp
import dev.enfilade.ffi.Room
import dev.enfilade.ffi.RoomChange

/** A room at one moment. */
data class RoomSnapshot(
    val room: Room,
    /** Confirmed messages, oldest first. */
    val messages: List<Message>,
    /** What this client has made and the server has not confirmed, oldest first. It stands after the messages. */
    val pending: List<PendingOp>,
    /** Pinned messages, oldest pin first. */
    val pins: List<Message> = emptyList(),
)

/** Follows one room by replaying its changes, so that a new message costs one message, however long the room is. */
internal class RoomView(
    private val core: EnfiladeClient,
    private val id: String,
) {
    var holders = 0

    val snapshots = Watched<RoomSnapshot>()

    fun readAll() {
        val room = core.room(id) ?: return
        snapshots.value = RoomSnapshot(room, allMessages(room), core.pending(id), core.pins(id))
    }

    fun update(changes: List<RoomChange>) {
        val before = snapshots.value ?: return readAll()
        if (changes.any { it is RoomChange.Reset || it is RoomChange.Prepended }) return readAll()
        val room = core.room(id) ?: return
        val pending = if (changes.any { it is RoomChange.Pending }) core.pending(id) else before.pending
        val pins = if (changes.any { it is RoomChange.Pins }) core.pins(id) else before.pins
        snapshots.value = RoomSnapshot(room, reread(replay(before.messages, room, changes), changes), pending, pins)
    }

    private fun replay(
        old: List<Message>,
        room: Room,
        changes: List<RoomChange>,
    ): List<Message> {
        val dropped = changes.maxOfOrNull { (it as? RoomChange.MessagesDropped)?.before ?: 0 } ?: 0
        val added = changes.count { it is RoomChange.MessageAdded }
        if (dropped == 0L && added == 0) return old
        val kept = old.dropWhile { it.ordinal < dropped }
        if (added == 0) return kept
        val from = maxOf(0, room.messageCount - added)
        val last = kept.lastOrNull()?.ordinal ?: 0
        return kept + core.messages(id, from, added.toLong()).filter { it.ordinal > last }
    }

    /** Reads messages again that were changed in their places. Without a gap, a place follows from the ordinal. */
    private fun reread(
        messages: List<Message>,
        changes: List<RoomChange>,
    ): List<Message> {
        val changed = changes.mapNotNull { (it as? RoomChange.MessageChanged)?.ordinal }.toSet()
        if (changed.isEmpty()) return messages
        return messages.mapIndexed { place, message ->
            if (message.ordinal in changed) core.messages(id, place.toLong(), 1).firstOrNull() ?: message else message
        }
    }

    private fun allMessages(room: Room): List<Message> = core.messages(id, 0, room.messageCount)
}
