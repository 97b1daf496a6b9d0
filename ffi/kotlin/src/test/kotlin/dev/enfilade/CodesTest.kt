package dev.enfilade

import dev.enfilade.ffi.codeRegistry
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class CodesTest {
    @Test
    fun `the registry is the one that is written down`() {
        val written =
            Vectors.codes().map { row ->
                Triple(row["number"].asLong, row["name"].asString, row["retry"].asString)
            }
        val registry = codeRegistry().map { Triple(it.number.toLong(), it.name, it.retry.name.lowercase()) }
        assertTrue(written.isNotEmpty())
        assertEquals(written, registry)
    }

    @Test
    fun `every code has a sentence for people`() {
        codeRegistry().forEach { assertTrue(it.text.endsWith("."), it.name) }
    }
}
