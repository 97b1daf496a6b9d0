package dev.enfilade

import com.google.gson.JsonParser
import dev.enfilade.ffi.answerQuestion
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class RulesTest {
    @Test
    fun `every question is answered as it stands`() {
        val questions = Vectors.questions()
        assertTrue(questions.size > 500, "${questions.size} questions")
        for ((kind, row) in questions) {
            val answer = answerQuestion(kind, row["input"].toString())
            assertEquals(row["output"], JsonParser.parseString(answer), "$kind: ${row["name"].asString}")
        }
    }
}
