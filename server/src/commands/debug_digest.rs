//! DEBUG DIGEST and DIGEST-VALUE: 40 hexadecimal digits that are equal to Redis' for equal data, whatever its encoding.

use ostraka_datatypes::hashes::HashRef;
use ostraka_datatypes::list::ListRef;
use ostraka_datatypes::numbers::{format_double_17, format_i64};
use ostraka_datatypes::raw::entry::{Entry, StringRef, Type};
use ostraka_datatypes::set::SetRef;
use ostraka_datatypes::sha1::sha1;
use ostraka_datatypes::zset::ZsetRef;

use crate::call::{Call, Outcome};

/// A digest under construction.
#[derive(Clone, Copy, Default)]
struct Digest([u8; 20]);

impl Digest {
    /// Takes something in whose order among others does not matter.
    fn add(&mut self, bytes: &[u8]) {
        let hash = sha1(bytes);
        self.0
            .iter_mut()
            .zip(hash)
            .for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Takes something in that comes next.
    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1(&self.0);
    }

    /// Of two things that belong together.
    fn pair(one: &[u8], other: &[u8]) -> Self {
        let mut pair = Self::default();
        pair.mix(one);
        pair.mix(other);
        pair
    }

    fn mix_entry(&mut self, entry: &Entry, now_ms: u64) {
        self.mix(&(entry.kind() as u32).to_be_bytes());
        self.mix_value(entry, now_ms);
        if entry.deadline().is_some() {
            self.add(b"!!expire!!");
        }
    }

    fn mix_value(&mut self, entry: &Entry, now_ms: u64) {
        match entry.kind() {
            Type::String => match entry.string() {
                StringRef::Int(number) => self.mix(&format_i64(number)),
                StringRef::Bytes(bytes) => self.mix(bytes),
            },
            Type::List => {
                let list = ListRef::of(entry);
                list.each(0..list.len(), |element| self.mix(&element.to_cow()));
            }
            Type::Set => SetRef::of(entry)
                .iter()
                .for_each(|member| self.add(&member.to_cow())),
            Type::Zset => ZsetRef::of(entry).iter().for_each(|(member, score)| {
                self.add(&Digest::pair(&member.to_cow(), format_double_17(score).as_bytes()).0);
            }),
            Type::Hash => HashRef::of(entry, now_ms).for_each(|field| {
                let mut pair = Digest::pair(&field.name.to_cow(), &field.value.to_cow());
                if field.deadline.is_some() {
                    pair.add(b"!!hexpire!!");
                }
                self.add(&pair.0);
            }),
            Type::Stream => unreachable!("there are no streams yet"),
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

pub fn digest(c: &mut Call<'_>) -> Outcome {
    let (mut digest, now_ms) = (Digest::default(), c.db.now_ms() as u64);
    let databases = c.db.exec.settings.databases as usize;
    for database in 0..databases {
        let cells = c.db.held();
        if cells
            .iter()
            .all(|cell| c.db.shard(cell).db(database).is_empty())
        {
            continue;
        }
        digest.mix(&(database as u32).to_be_bytes());
        for cell in cells {
            for entry in c.db.shard(cell).db(database).iter() {
                let mut of_entry = Digest::default();
                of_entry.mix(entry.key());
                of_entry.mix_entry(&entry, now_ms);
                digest.add(&of_entry.0);
            }
        }
    }
    c.reply.simple(digest.text());
    Ok(())
}

pub fn digest_value(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    c.reply.array(c.args.len() - 2);
    for index in 2..c.args.len() {
        let mut digest = Digest::default();
        if let Some(entry) = c.db.peek(c.args.key(index)) {
            digest.mix_entry(&entry, now_ms);
        }
        c.reply.simple(digest.text());
    }
    Ok(())
}
