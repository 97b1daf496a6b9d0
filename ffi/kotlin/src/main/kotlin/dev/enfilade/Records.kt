package dev.enfilade

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.util.Base64
import java.util.concurrent.ConcurrentHashMap

/** Where a client's durable records lie. Called by one thread at a time. */
interface RecordStore {
    /** Everything that was written and not deleted. */
    fun load(): Map<String, ByteArray>

    /** Stores a record before it returns; `null` deletes it. */
    fun write(
        key: String,
        value: ByteArray?,
    )

    /** One record; `null` when there is none of that name. Called for a room's snapshot when the room is opened. */
    fun read(key: String): ByteArray? = load()[key]
}

/** Records that end with the process. */
class MemoryRecords : RecordStore {
    private val records = ConcurrentHashMap<String, ByteArray>()

    override fun load(): Map<String, ByteArray> = records.toMap()

    override fun write(
        key: String,
        value: ByteArray?,
    ) {
        if (value == null) records.remove(key) else records[key] = value
    }

    override fun read(key: String): ByteArray? = records[key]
}

/** Records as files of one folder, which belongs to one client at a time. */
class FolderRecords(
    private val folder: Path,
) : RecordStore {
    init {
        Files.createDirectories(folder)
    }

    override fun load(): Map<String, ByteArray> =
        Files.list(folder).use { files ->
            files
                .filter { it.fileName.toString().endsWith(SUFFIX) }
                .toList()
                .associate { keyOf(it) to Files.readAllBytes(it) }
        }

    override fun write(
        key: String,
        value: ByteArray?,
    ) {
        val file = fileOf(key)
        if (value == null) {
            Files.deleteIfExists(file)
            return
        }
        // A record is there as a whole or not at all, whenever the process ends.
        val unfinished = folder.resolve("${file.fileName}.new")
        Files.write(unfinished, value)
        Files.move(unfinished, file, ATOMIC_MOVE, REPLACE_EXISTING)
    }

    override fun read(key: String): ByteArray? = fileOf(key).takeIf { Files.exists(it) }?.let(Files::readAllBytes)

    private fun fileOf(key: String): Path =
        folder.resolve(Base64.getUrlEncoder().withoutPadding().encodeToString(key.encodeToByteArray()) + SUFFIX)

    private fun keyOf(file: Path): String = Base64.getUrlDecoder().decode(file.fileName.toString().removeSuffix(SUFFIX)).decodeToString()

    private companion object {
        const val SUFFIX = ".record"
    }
}
