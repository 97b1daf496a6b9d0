//! What was learned, as bytes: to be stored, and taken in again.

use alloc::vec::Vec;
use core::str;

use super::gf::Duel;
use super::record::{Reader, Writer};
use super::reuse::{BUCKETS, CLASSES};
use super::{Access, Cache, Gf, Known};
use crate::{Code, Millis, RoomId, limits};

/// Evidence of a class: far more than ageing ever leaves, and far from the end of its type.
const MOST_EVIDENCE: u64 = 1 << 17;

impl Cache {
    /// How rooms were used and what was learned from it, as bytes: layout, checksum, numbers. Which rooms are in is left
    /// out, and so are the recorded visits.
    pub fn export(&mut self) -> Vec<u8> {
        let mut writer = Writer::default();
        let gf = self.policy.as_gf();
        let learned = gf.as_deref();
        writer.number(u64::from(learned.is_some()));
        if let Some(gf) = learned {
            gf.write(&mut writer);
        }
        writer.number(self.rooms.len() as u64);
        for (number, known) in (0..).zip(&self.rooms) {
            writer.bytes(known.id.as_str().as_bytes());
            writer.number(u64::from(known.access.visits));
            writer.number(known.access.last.map_or(0, |last| last.0.saturating_add(1)));
            writer.number(u64::from(known.access.heat));
            if let Some(gf) = learned {
                let (ago, count) = gf.memory(number).unwrap_or((0, 0));
                writer.number(u64::from(ago));
                writer.number(u64::from(count));
            }
        }
        writer.finish()
    }

    /// Takes in what [`export`](Cache::export) gave. The rooms that are in stay in, and the recorded visits come after what is taken in.
    ///
    /// # Errors
    /// [`Code::ModelDamaged`] for what is damaged, truncated or of a newer version. Nothing has changed then.
    pub fn import(&mut self, bytes: &[u8], now: Millis) -> Result<(), Code> {
        let reader = Reader::open(bytes, Code::ModelDamaged, Code::ModelDamaged)?;
        let mut learned = Cache::new(self.kind, self.capacity, self.base);
        learned.read(reader, now).ok_or(Code::ModelDamaged)?;
        // What was visited before the record was there came after it all the same.
        for (number, at) in self.visits.iter() {
            learned.visit(&self.rooms[number as usize].id, true, at);
        }
        for known in self.rooms.iter().filter(|known| self.contains(&known.id)) {
            learned.admit(&known.id, known.priority, known.since);
        }
        *self = learned;
        Ok(())
    }

    fn read(&mut self, mut reader: Reader<'_>, now: Millis) -> Option<()> {
        let has_learned = reader.up_to(1)? == 1;
        let mut gf = Gf::new(self.capacity);
        if has_learned {
            gf.read(&mut reader)?;
        }
        let rooms = reader.up_to(limits::ROOMS_SEEN as u64)? as u32;
        for number in 0..rooms {
            let id = RoomId::new(str::from_utf8(reader.bytes()?).ok()?).ok()?;
            let visits = reader.up_to(u64::from(u32::MAX))? as u32;
            // A clock that was set back does not keep rooms for ever.
            let last = reader.number()?.checked_sub(1).map(|last| Millis(last).min(now));
            let heat = reader.up_to(u64::from(u32::MAX))? as u32;
            if has_learned {
                let (ago, count) =
                    (reader.up_to(u64::from(gf.visits()))?, reader.up_to(u64::from(u16::MAX))?);
                gf.remember(number, ago as u32, count as u16);
            }
            if self.numbers.insert(id.clone(), number).is_some() {
                return None;
            }
            let access = Access { visits, last, heat };
            self.rooms.push(Known { id, access, since: Millis(0), priority: 0 });
        }
        if let Some(own) = self.policy.as_gf() {
            *own = gf;
        }
        reader.is_empty().then_some(())
    }
}

impl Gf {
    fn write(&self, writer: &mut Writer) {
        writer.number(u64::from(self.visits()));
        writer.number(u64::from(self.duel.lead.unsigned_abs()));
        writer.number(u64::from(self.duel.lead >= 0));
        writer.number(u64::from(self.duel.is_learned));
        writer.number(u64::from(self.duel.was_close));
        for (entered, row) in self.reuse.entered.iter().zip(self.reuse.returned.iter()) {
            writer.number(u64::from(*entered));
            row.iter().for_each(|returned| writer.number(u64::from(*returned)));
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        self.begin_at(reader.up_to(u64::from(u32::MAX / 2))? as u32);
        let lead = reader.up_to(1_000)? as i32;
        let lead = if reader.up_to(1)? == 1 { lead } else { -lead };
        self.duel = Duel { lead, is_learned: reader.up_to(1)? == 1, was_close: reader.up_to(1)? == 1 };
        for class in 0..CLASSES {
            self.reuse.entered[class] = reader.up_to(MOST_EVIDENCE)? as u32;
            let mut sum = 0;
            for bucket in 0..BUCKETS {
                let returned = reader.up_to(MOST_EVIDENCE)?;
                self.reuse.returned[class][bucket] = returned as u32;
                sum += returned;
            }
            if sum > MOST_EVIDENCE {
                return None;
            }
        }
        self.reuse.rebuild_all();
        Some(())
    }
}
