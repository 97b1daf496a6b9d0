package dev.enfilade

import com.sun.management.OperatingSystemMXBean
import dev.enfilade.ffi.FfiException
import dev.enfilade.ffi.normaliseServerFrame
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.lang.management.ManagementFactory
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread

/** The generated code takes its call statuses from a pool. */
class StatusPoolTest {
    @Test
    fun `the pool is there`() {
        Class.forName("dev.enfilade.ffi.UniffiStatusPool")
    }

    @Test
    fun `a call after a failed one succeeds, and one after that fails again`() {
        repeat(3) {
            val error = assertThrows<FfiException.Coded> { normaliseServerFrame(byteArrayOf(-1), 10) }
            assertEquals("malformed", error.code.name)
            assertArrayEquals(HEARTBEAT, normaliseServerFrame(HEARTBEAT, 10))
        }
    }

    @Test
    fun `four threads call at once, each with its own statuses`() {
        val failures = ConcurrentLinkedQueue<Throwable>()
        val calls = { repeat(CALLS) { assertArrayEquals(HEARTBEAT, normaliseServerFrame(HEARTBEAT, 10)) } }
        val before = cpuTime()
        (1..THREADS)
            .map { thread { runCatching(calls).onFailure(failures::add) } }
            .forEach(Thread::join)
        assertEquals(emptyList<Throwable>(), failures.toList())
        println("a call with bytes in and out: ${(cpuTime() - before) / 1_000 / (THREADS * CALLS)} us of CPU")
    }

    private fun cpuTime() = (ManagementFactory.getOperatingSystemMXBean() as OperatingSystemMXBean).processCpuTime

    private companion object {
        const val THREADS = 4
        const val CALLS = 5_000

        /** A server's heartbeat at time 5. */
        val HEARTBEAT = byteArrayOf(0x4a, 2, 8, 5)
    }
}
