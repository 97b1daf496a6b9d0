package dev.enfilade

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.flow.takeWhile

/** A value that changes, of which collectors see the latest, until it ends. */
internal class Watched<T : Any> {
    private data class State<T>(
        val value: T?,
        val isOver: Boolean,
    )

    private val state = MutableStateFlow(State<T>(null, false))

    val values: Flow<T> = state.takeWhile { !it.isOver }.mapNotNull { it.value }

    var value: T?
        get() = state.value.value
        set(value) {
            state.value = State(value, false)
        }

    fun end() {
        state.value = State(value, true)
    }
}
