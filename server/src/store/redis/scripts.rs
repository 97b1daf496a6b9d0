//! The scripts, each in a file of its own, and how they are called.

use std::sync::LazyLock;

use bytes::Bytes;
use redis::{Cmd, Script};

/// A script as Redis has it, under its hash.
pub(super) struct Lua {
    text: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $flags:literal $file:literal;)*) => {
        $(pub(super) static $name: Lua = Lua {
            text: concat!(
                "#!lua", $flags, "\n",
                include_str!("lua/common.lua"),
                include_str!(concat!("lua/", $file, ".lua")),
            ),
            hash: LazyLock::new(|| Script::new($name.text).get_hash().to_owned()),
        };)*
    };
}

scripts! {
    APPEND = "" "append";
    LOAD = " flags=no-writes" "load";
    READ = " flags=no-writes" "read";
    CLAIM = "" "claim";
    START = "" "start";
    SEAL = "" "seal";
    SNAPSHOT = "" "snapshot";
    // Trimming must go on when there is no memory left.
    TRIM = " flags=allow-oom" "trim";
    AMENDED = " flags=no-writes" "amended";
    FORGET_AMENDED = " flags=allow-oom" "forget_amended";
    PUT_LEASE = "" "put_lease";
    LEASES = " flags=no-writes" "leases";
    SET_CURSOR = "" "set_cursor";
    MARK = "" "mark";
    REWRITE = "" "rewrite";
    KEYS = "" "keys";
    NAME = "" "name";
    PRUNE = " flags=allow-oom" "prune";
    SETTLE = " flags=allow-oom" "settle";
}

impl Lua {
    /// The call by hash, or with the whole text where Redis does not have it.
    pub(super) fn command(&self, call: &Call, with_text: bool) -> Cmd {
        let mut cmd = match with_text {
            false => redis::cmd("EVALSHA"),
            true => redis::cmd("EVAL"),
        };
        match with_text {
            false => cmd.arg(self.hash.as_str()),
            true => cmd.arg(self.text),
        };
        cmd.arg(call.keys.len());
        for key in &call.keys {
            cmd.arg(key);
        }
        for arg in &call.args {
            cmd.arg(arg.as_ref());
        }
        cmd
    }
}

/// Keys and arguments of a call.
#[derive(Default)]
pub(super) struct Call {
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Bytes>,
}

impl Call {
    pub(super) fn on(keys: Vec<String>) -> Call {
        Call { keys, args: Vec::new() }
    }

    pub(super) fn bytes(mut self, arg: Bytes) -> Call {
        self.args.push(arg);
        self
    }

    pub(super) fn text(self, arg: impl Into<String>) -> Call {
        self.bytes(Bytes::from(arg.into()))
    }

    pub(super) fn number(self, arg: impl Into<u64>) -> Call {
        self.text(arg.into().to_string())
    }

    pub(super) fn size(self, arg: usize) -> Call {
        self.text(arg.to_string())
    }
}
