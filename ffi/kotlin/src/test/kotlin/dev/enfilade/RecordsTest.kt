package dev.enfilade

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

class RecordsTest {
    @Test
    fun `records of a folder are what was written last and not deleted`(
        @TempDir folder: Path,
    ) {
        val records = FolderRecords(folder)
        records.write("op/lobby/1", byteArrayOf(1))
        records.write("op/lobby/1", byteArrayOf(2))
        records.write("meta", byteArrayOf())
        records.write("room/../x", byteArrayOf(3))
        records.write("room/../x", null)
        records.write("never there", null)
        // As a process leaves it that ends while it writes.
        Files.write(folder.resolve("unfinished.record.new"), byteArrayOf(9))

        val found = FolderRecords(folder).load()
        assertEquals(setOf("op/lobby/1", "meta"), found.keys)
        assertArrayEquals(byteArrayOf(2), found["op/lobby/1"])
    }
}
