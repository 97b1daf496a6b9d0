//! Appending: one script, with everything that is written together.

use super::*;

/// Arguments of one command of a readable key: Lua unpacks no more than some thousands.
const ARGUMENTS: usize = 1_000;

/// How a script was asked to append.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// While the room's mark holds, until then by the clock of Redis.
    New { valid_until: u64 },
    /// What was acknowledged, into a log that has lost it.
    Mending,
}

/// What one attempt to append came to.
pub(super) enum Outcome {
    Done {
        head: Position,
        failed: u64,
    },
    Conflict {
        head: Position,
        missing: Vec<Bytes>,
    },
    /// The log is not settled in this process of Redis.
    Unsettled(String),
    /// The mark had ended.
    Late,
}

impl Inner {
    pub(super) async fn append(self: &Arc<Self>, room: &RoomId, append: Append) -> Result<Appended> {
        limits::append(room, &append)?;
        let summary = Some(append.summary.clone());
        let kept = recent::Kept {
            expected: append.expected,
            batch: append.batch.clone(),
            summary,
            amended: append.amended.clone(),
            keys: append.keys.clone(),
        };
        for _ in 0..ROUNDS {
            let valid_until = self.marked(room, !append.summary.is_empty()).await?;
            let outcome = self.try_append(room, &kept, Manner::New { valid_until }).await?;
            match outcome {
                Outcome::Done { head, failed } => {
                    if failed > 0 {
                        metrics::counter!("enfilade_readable_keys_failed_total").increment(failed);
                        tracing::warn!(%room, failed, "readable keys were not written: they are of a foreign type");
                    }
                    self.recent.appended(room, append);
                    self.hints.grown(room, head);
                    return Ok(Appended::Done { head });
                }
                Outcome::Conflict { head, missing } => {
                    if head.epoch == append.expected.epoch {
                        let end = append.expected.seq + missing.len() as u64;
                        if end == head.seq {
                            self.recent.read(room, append.expected, &missing);
                        }
                    } else if head.epoch != 0 {
                        self.report_lost(room, head.epoch).await;
                    }
                    return Ok(Appended::Conflict { head, missing });
                }
                Outcome::Unsettled(process) => self.settle_log(room, &process).await?,
                Outcome::Late => self.marks.forget(room),
            }
        }
        Err(restless(room))
    }

    /// One call of the script.
    pub(super) async fn try_append(
        &self,
        room: &RoomId,
        kept: &recent::Kept,
        manner: Manner,
    ) -> Result<Outcome> {
        let keys = self.keys(room);
        let mut names = vec![keys.head(), keys.log(), keys.row(), keys.amended()];
        let ours = names.len();
        let mut commands = Vec::new();
        for write in &kept.keys {
            let name = format!("{}{}", self.options.prefix, write.key);
            let at = names[ours..].iter().position(|known| *known == name).map_or_else(
                || {
                    names.push(name);
                    names.len()
                },
                |at| ours + at + 1,
            );
            for (command, arguments) in commands_of(write) {
                commands.push((command, at, arguments));
            }
        }
        let waits = self.options.wait_replicas > 0;
        let (channel, message) = self.hints.in_script(room);
        let (how, valid_until) = match manner {
            Manner::New { valid_until } => ("append", valid_until),
            Manner::Mending => ("mend", 0),
        };
        let mut call = Call::on(names)
            .number(kept.expected.epoch)
            .number(kept.expected.seq)
            .text(how)
            .number(valid_until)
            .text(if waits { "1" } else { "0" })
            .text(channel)
            .text(message)
            .size(Limits::PAGE_ENTRIES)
            .size(Limits::PAGE_BYTES)
            .text(if kept.summary.is_some() { "set" } else { "keep" })
            .bytes(kept.summary.clone().unwrap_or_default())
            .size(kept.batch.len())
            .size(kept.amended.len())
            .size(commands.len());
        call.args.extend(kept.batch.iter().cloned());
        for (seq, message) in &kept.amended {
            call = call.number(*seq).bytes(message.clone());
        }
        for (command, at, arguments) in commands {
            call = call.text(command).size(at).size(arguments.len());
            call.args.extend(arguments);
        }
        let answer = self.link.replicated(&scripts::APPEND, &call, self.options.wait_replicas).await?;
        let mut reply = Reply::parse(answer)?;
        match reply.status() {
            "done" => Ok(Outcome::Done { head: reply.position()?, failed: reply.number()? }),
            "conflict" => Ok(Outcome::Conflict { head: reply.position()?, missing: reply.list()? }),
            "none" => Ok(Outcome::Conflict { head: Position::default(), missing: Vec::new() }),
            "unsettled" => Ok(Outcome::Unsettled(reply.text()?)),
            "late" => Ok(Outcome::Late),
            _ => reply.unexpected(),
        }
    }

    /// Makes sure that the room is on the worklists, and in the index where it has a row. Returns until when.
    pub(super) async fn marked(self: &Arc<Self>, room: &RoomId, has_row: bool) -> Result<u64> {
        if self.options.followers.is_empty() && !has_row {
            return Ok(0);
        }
        match self.marks.standing(room, has_row) {
            Standing::Holds(until) => Ok(until),
            Standing::Ages(until) => {
                let (inner, room) = (self.clone(), room.clone());
                tokio::spawn(async move { inner.mark(&room, has_row).await });
                Ok(until)
            }
            Standing::Missing => self.mark(room, has_row).await,
        }
    }

    async fn mark(&self, room: &RoomId, has_row: bool) -> Result<u64> {
        let prefix = &self.options.prefix;
        let mut names = vec![index_key(prefix)];
        for follower in &self.options.followers {
            let (work, marks) = work_keys(prefix, *follower);
            names.extend([work, marks]);
        }
        let asked = Instant::now();
        let call = Call::on(names)
            .text(room.as_str())
            .text(if has_row { "1" } else { "0" })
            .number(self.marks.lifetime().as_millis() as u64);
        let ends =
            Reply::parse(self.link.replicated(&scripts::MARK, &call, self.options.wait_replicas).await?)?
                .number()?;
        self.marks.note(room, ends, asked, has_row);
        Ok(ends)
    }
}

/// What Redis is told to do, in pieces that Lua can unpack.
pub(super) fn commands_of(write: &KeyWrite) -> Vec<(&'static str, Vec<Bytes>)> {
    let number = |number: i64| Bytes::from(number.to_string());
    let pieces = |name: &'static str, items: &[Bytes]| {
        items.chunks(ARGUMENTS).map(|piece| (name, piece.to_vec())).collect::<Vec<_>>()
    };
    match &write.command {
        KeyCommand::HSet(pairs) => {
            let flat: Vec<Bytes> =
                pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect();
            pieces("HSET", &flat)
        }
        KeyCommand::ZAdd(members) => {
            let flat: Vec<Bytes> =
                members.iter().flat_map(|(score, member)| [number(*score), member.clone()]).collect();
            pieces("ZADD", &flat)
        }
        KeyCommand::HDel(fields) => pieces("HDEL", fields),
        KeyCommand::ZRem(members) => pieces("ZREM", members),
        KeyCommand::RPush(items) => pieces("RPUSH", items),
        KeyCommand::SAdd(members) => pieces("SADD", members),
        KeyCommand::SRem(members) => pieces("SREM", members),
        KeyCommand::ZRemByScore(from, to) => vec![("ZREMRANGEBYSCORE", vec![number(*from), number(*to)])],
        KeyCommand::ZKeepNewest(keep) => {
            vec![("ZREMRANGEBYRANK", vec![number(0), number(-1 - i64::from(*keep))])]
        }
        // None is a range that ends before it begins.
        KeyCommand::LKeepLast(0) => vec![("DEL", vec![])],
        KeyCommand::LKeepLast(keep) => vec![("LTRIM", vec![number(-i64::from(*keep)), number(-1)])],
        KeyCommand::Set(value) => vec![("SET", vec![value.clone()])],
        KeyCommand::Del => vec![("DEL", vec![])],
        KeyCommand::Expire(after) => {
            vec![("PEXPIRE", vec![number(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))])]
        }
        KeyCommand::Persist => vec![("PERSIST", vec![])],
    }
}
