package dev.enfilade

import dev.enfilade.ffi.RetryDecision
import dev.enfilade.ffi.codeRegistry
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.File

class CodesTest {
    @Test
    fun `the registry is the one that the protocol's source names`() {
        val source = File(System.getProperty("enfilade.codes")).readText()
        val line = Regex("""^ {4}(\d{4}) \w+ "(\w+)" (\w+) "(.*)";$""", RegexOption.MULTILINE)
        val expected = line.findAll(source).map { it.groupValues.drop(1) }.toList()
        val actual = codeRegistry().map { listOf(it.number.toString(), it.name, inRust(it.retry), it.text) }
        assertTrue(expected.size > 40)
        assertEquals(expected, actual)
    }

    private fun inRust(retry: RetryDecision): String =
        when (retry) {
            RetryDecision.NEVER -> "Never"
            RetryDecision.LATER -> "Later"
            RetryDecision.RESYNC -> "Resync"
            RetryDecision.NEW_TOKEN -> "NewToken"
        }
}
