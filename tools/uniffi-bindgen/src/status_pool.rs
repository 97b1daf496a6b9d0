//! Makes the generated Kotlin reuse its call statuses.
//!
//! uniffi's Kotlin allocates a JNA structure for each call (two for a method) and registers it with JNA's one cleaner,
//! behind one lock: tens of microseconds a call, and memory that runs out when four threads call at once. Here a
//! status comes from a pool of the thread. It is indexed by depth, because the arguments of a call are lowered by
//! calls of their own, while the outer status is in use. A status that reported a failure is not used again.

use anyhow::{Result, bail};

/// What uniffi 0.32 generates.
const GENERATED: &str = "    var status = UniffiRustCallStatus()
    val return_value = callback(status)
    uniffiCheckCallStatus(errorHandler, status)
    return return_value
";

const POOLED: &str = "    val pool = UniffiStatusPool.ofThread.get()
    val status = pool.take()
    try {
        val return_value = callback(status)
        uniffiCheckCallStatus(errorHandler, status)
        return return_value
    } finally {
        pool.giveBack(status)
    }
";

const POOL: &str = "
// Call statuses for reuse, one for each depth of nested calls of this thread.
internal class UniffiStatusPool {
    private val statuses = ArrayList<UniffiRustCallStatus?>()
    private var depth = 0

    fun take(): UniffiRustCallStatus {
        if (depth == statuses.size) statuses.add(null)
        val status = statuses[depth] ?: UniffiRustCallStatus().also { statuses[depth] = it }
        depth += 1
        return status
    }

    fun giveBack(status: UniffiRustCallStatus) {
        depth -= 1
        if (!status.isSuccess()) statuses[depth] = null
    }

    companion object {
        val ofThread: ThreadLocal<UniffiStatusPool> = ThreadLocal.withInitial { UniffiStatusPool() }
    }
}
";

/// The source with the pool. Fails when the source is not what it is made for, so that a new version of uniffi can't
/// leave the pool out unnoticed.
pub(crate) fn apply(source: &str) -> Result<String> {
    let found = source.matches(GENERATED).count();
    if found != 1 {
        bail!(
            "expected one place for the pool of call statuses, found {found}: has uniffi's template changed?"
        );
    }
    Ok(source.replacen(GENERATED, POOLED, 1) + POOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_replaces_the_allocation() {
        let patched = apply(&format!("before\n{GENERATED}after\n")).unwrap();
        assert!(!patched.contains("var status = UniffiRustCallStatus()"));
        assert!(patched.contains("pool.take()") && patched.contains("class UniffiStatusPool"));
    }

    #[test]
    fn another_template_or_a_second_pass_is_an_error() {
        assert!(apply("something else").is_err());
        assert!(apply(&format!("{GENERATED}{GENERATED}")).is_err());
        let once = apply(GENERATED).unwrap();
        assert!(apply(&once).is_err());
    }
}
