package dev.enfilade

import com.google.gson.JsonObject
import dev.enfilade.ffi.FfiException
import dev.enfilade.ffi.normaliseClientFrame
import dev.enfilade.ffi.normaliseServerFrame
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class VectorsTest {
    @Test
    fun `every frame is read, and written as it stands`() {
        val frames = Vectors.frames()
        assertTrue(frames.size >= 100)
        for ((place, row) in frames) {
            val bytes = Vectors.bytes(row)
            val written = normalise(row, bytes)
            assertEquals(!decodeOnly(row), written.contentEquals(bytes), place)
            assertArrayEquals(written, normalise(row, written), place)
        }
    }

    @Test
    fun `a frame with unknown fields is the frame without them`() {
        val (odd, plain) = Vectors.frames().partition { (_, row) -> decodeOnly(row) }
        assertFalse(odd.isEmpty())
        for ((place, row) in odd) {
            val same = plain.filter { (_, other) -> meaning(other) == meaning(row) }
            for ((_, other) in same) assertArrayEquals(Vectors.bytes(other), normalise(row, Vectors.bytes(row)), place)
        }
    }

    @Test
    fun `what is no frame gets its code`() {
        val bad = Vectors.bad()
        assertTrue(bad.size >= 40)
        for (row in bad) {
            val error = assertThrows<FfiException.Coded>(row["name"].asString) { normalise(row, Vectors.bytes(row)) }
            assertEquals(row["code"].asString, error.code.name, row["name"].asString)
        }
    }

    private fun normalise(
        row: JsonObject,
        bytes: ByteArray,
    ): ByteArray {
        val max = row["max"]?.asLong ?: FRAME_BYTES
        return when (row["direction"].asString) {
            "client" -> normaliseClientFrame(bytes, max)
            else -> normaliseServerFrame(bytes, max)
        }
    }

    private fun decodeOnly(row: JsonObject) = row["decode_only"]?.asBoolean == true

    private fun meaning(row: JsonObject) = row["direction"].asString to row["json"]

    private companion object {
        /** The limit of protocol 1.0. */
        const val FRAME_BYTES = 64 * 1024L
    }
}
