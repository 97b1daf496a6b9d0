package dev.enfilade

import com.google.gson.JsonArray
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.io.File

/** The golden vectors, which every language is held against. */
internal object Vectors {
    private val folder = File(System.getProperty("enfilade.vectors"))
    private val prefixes = listOf("client_", "server_")

    /** Frames, each with the place where it stands. */
    fun frames(): List<Pair<String, JsonObject>> {
        val files = folder.listFiles().orEmpty().filter { file -> prefixes.any(file.name::startsWith) }
        return files.sorted().flatMap { file -> rows(file).map { "${file.name}: ${it["name"].asString}" to it } }
    }

    /** Binary messages that are no frames. */
    fun bad(): List<JsonObject> = rows(folder.resolve("bad.json")).filter { it.has("binary") }

    fun codes(): List<JsonObject> = rows(folder.resolve("codes.json"))

    /** Questions about the rules, each with its kind. */
    fun questions(): List<Pair<String, JsonObject>> {
        val files = folder.resolveSibling("rules").listFiles().orEmpty()
        return files.sorted().flatMap { file -> rows(file).map { file.nameWithoutExtension to it } }
    }

    fun bytes(row: JsonObject): ByteArray =
        row["binary"]
            .asString
            .chunked(2)
            .map { it.toInt(16).toByte() }
            .toByteArray()

    private fun rows(file: File): List<JsonObject> = (JsonParser.parseString(file.readText()) as JsonArray).map { it.asJsonObject }
}
