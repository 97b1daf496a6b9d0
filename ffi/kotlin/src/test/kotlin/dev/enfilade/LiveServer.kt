package dev.enfilade

import java.net.HttpURLConnection
import java.net.ServerSocket
import java.net.URI
import java.nio.file.Files
import java.util.concurrent.TimeUnit

/** A server of our own, on a free port of the loopback, with a data folder that ends with it. */
internal class LiveServer : AutoCloseable {
    private val port = ServerSocket(0).use { it.localPort }
    private val folder = Files.createTempDirectory("enfilade-kotlin-")
    private val log = folder.resolve("log").toFile()
    private var process: Process? = null

    val url = "http://127.0.0.1:$port"

    init {
        start()
    }

    /** Starts it, on the port and the data that it had. */
    fun start() {
        val builder = ProcessBuilder(System.getProperty("enfilade.server"))
        builder.environment().keys.removeIf { it.startsWith("ENFILADE_") }
        builder.environment()["ENFILADE_LISTEN"] = "127.0.0.1:$port"
        builder.environment()["ENFILADE_DATA_DIR"] = folder.resolve("data").toString()
        builder.directory(folder.toFile()).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.appendTo(log))
        val started = builder.start()
        process = started
        val deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS)
        while (!answers()) {
            check(started.isAlive) { "the server has ended:\n${log.readText()}" }
            check(System.nanoTime() < deadline) { "the server does not answer:\n${log.readText()}" }
            Thread.sleep(20)
        }
    }

    /** Ends it as a crash would. */
    fun kill() {
        process?.destroyForcibly()?.waitFor()
    }

    override fun close() {
        kill()
        folder.toFile().deleteRecursively()
    }

    private fun answers(): Boolean =
        runCatching {
            val connection = URI("$url/").toURL().openConnection() as HttpURLConnection
            connection.connectTimeout = 1_000
            connection.readTimeout = 1_000
            connection.responseCode > 0
        }.getOrDefault(false)

    private companion object {
        const val START_SECONDS = 30L
    }
}
