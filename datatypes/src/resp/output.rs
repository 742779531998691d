//! The bytes that a connection owes its peer, in order, until a socket has taken them.
//!
//! ```text
//!   full: chunk, chunk, ...   oldest first                       tail: the chunk being written
//!   ┌─────────────┬──────────────┐  ┌────────────────────┐       ┌──────────────┬─────────▒▒▒▒
//!   │ $20000\r\n  │ \r\n+OK\r\n… │  │ …                  │       │ …            │         ▒▒▒▒
//!   └─────────────┴──────────────┘  └────────────────────┘       └──────────────┴─────────▒▒▒▒
//!        ▲ sent   └ inset: a blob of 20,000 bytes goes out here, by reference
//! ```
//!
//! Small replies are copied into one buffer and leave with one write. A buffer that is full is set aside and a new
//! one begun, so that a reply of any size never moves more than [`CHUNK`] bytes and gives memory back while it is
//! sent. Large values are not copied: an inset remembers where the shared value belongs. An empty `Output` holds no
//! memory after [`Output::release`].

use std::collections::VecDeque;

use crate::blob::Blob;

/// Bytes after which a buffer is set aside.
const CHUNK: usize = 64 * 1024;
/// Capacity in bytes of a connection's first own buffer.
const FIRST: usize = 512;
/// Up to this many bytes, another output's buffer is copied rather than taken over.
const COPY: usize = 4096;

/// A value sent by reference, ahead of the chunk's byte `at`.
#[derive(Debug)]
struct Inset {
    at: usize,
    blob: Blob,
}

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    insets: Vec<Inset>,
}

/// Replies on their way out of one connection; see the module.
#[derive(Debug, Default)]
pub struct Output {
    tail: Chunk,
    full: VecDeque<Chunk>,
    /// Bytes of full chunks and of all insets, as long as the chunk or inset is here.
    set_aside: usize,
    /// Bytes sent of the oldest chunk, and of its first inset if that is next.
    sent: usize,
    sent_of_inset: usize,
    /// Unsent bytes that are too many; 0 for no limit.
    limit: u32,
    over: bool,
}

/// A place in an [`Output`] to come back to. Void once bytes before it or behind it have been sent.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    chunks: usize,
    bytes: usize,
    insets: usize,
}

impl Output {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes not sent yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.set_aside + self.tail.bytes.len() - self.sent - self.sent_of_inset
    }

    /// Over so many unsent bytes, with 0 for any number, what is written is thrown away, and so is what was there: nobody
    /// will get it. Noticed when a buffer is full, so that no reply, however long, takes much more memory.
    #[inline]
    pub fn set_limit(&mut self, bytes: usize) {
        // A limit beyond 4 GiB is left to whoever looks at the length.
        self.limit = u32::try_from(bytes).unwrap_or(0);
    }

    /// Whether something was thrown away: its reader must not get the rest.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether nothing has been sent of what is unsent.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.sent == 0 && self.sent_of_inset == 0
    }

    /// Bytes of memory held by the buffers; shared values are not counted.
    pub fn allocated(&self) -> usize {
        let chunks = self.full.iter().chain([&self.tail]);
        chunks
            .map(|chunk| chunk.bytes.capacity() + chunk.insets.capacity() * size_of::<Inset>())
            .sum()
    }

    /// The buffer to write `len` more bytes to, at most.
    #[inline]
    pub(super) fn room(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.bytes.capacity() - self.tail.bytes.len() < len {
            self.grow(len);
        }
        &mut self.tail.bytes
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        if self.over || (self.limit != 0 && self.len() > self.limit as usize) {
            self.throw_away();
        }
        if self.tail.bytes.len() + len > CHUNK && !self.tail.bytes.is_empty() {
            self.set_tail_aside();
            self.tail.bytes.reserve_exact(len.max(CHUNK));
            return;
        }
        let used = self.tail.bytes.len();
        let wanted = (used + len).max(FIRST);
        let capacity = if wanted < CHUNK {
            wanted.next_power_of_two()
        } else {
            wanted
        };
        self.tail.bytes.reserve_exact(capacity - used);
    }

    fn throw_away(&mut self) {
        self.over = true;
        self.full = VecDeque::new();
        self.tail.bytes.clear();
        self.tail.insets.clear();
        (self.set_aside, self.sent, self.sent_of_inset) = (0, 0, 0);
    }

    fn set_tail_aside(&mut self) {
        let chunk = std::mem::take(&mut self.tail);
        self.set_aside += chunk.bytes.len();
        self.full.push_back(chunk);
    }

    /// Sends `blob` at this point without copying it.
    pub(super) fn push_blob(&mut self, blob: Blob) {
        if blob.is_empty() {
            return;
        }
        self.set_aside += blob.len();
        self.tail.insets.push(Inset {
            at: self.tail.bytes.len(),
            blob,
        });
    }

    /// Appends bytes that are already in the protocol's form.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
    }

    /// Appends all of `other`, of which nothing may have been sent yet: a reply that was written elsewhere.
    pub fn append(&mut self, mut other: Self) {
        assert!(other.is_whole(), "only whole replies are appended");
        self.over |= other.over;
        if other.full.is_empty() && other.tail.bytes.len() <= COPY {
            self.room(other.tail.bytes.len());
            let base = self.tail.bytes.len();
            self.tail.bytes.append(&mut other.tail.bytes);
            let insets = other.tail.insets.into_iter();
            self.tail.insets.extend(insets.map(|inset| Inset {
                at: base + inset.at,
                ..inset
            }));
            self.set_aside += other.set_aside;
            return;
        }
        if !self.tail.bytes.is_empty() || !self.tail.insets.is_empty() {
            self.set_tail_aside();
        }
        self.full.append(&mut other.full);
        self.tail = other.tail;
        self.set_aside += other.set_aside;
    }

    /// The place where the next byte will go.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark {
            chunks: self.full.len(),
            bytes: self.tail.bytes.len(),
            insets: self.tail.insets.len(),
        }
    }

    /// Takes back everything written since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        self.full.truncate(mark.chunks + 1);
        if self.full.len() > mark.chunks {
            self.tail = self.full.pop_back().unwrap_or_default();
        }
        self.tail.bytes.truncate(mark.bytes);
        self.tail.insets.truncate(mark.insets);
        let insets = self
            .full
            .iter()
            .chain([&self.tail])
            .flat_map(|chunk| &chunk.insets);
        self.set_aside = insets.map(|inset| inset.blob.len()).sum::<usize>()
            + self
                .full
                .iter()
                .map(|chunk| chunk.bytes.len())
                .sum::<usize>();
    }

    /// Inserts `bytes` at `mark`; moves at most the rest of one chunk. Marks made since are void.
    pub(super) fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        if self.over {
            return;
        }
        let chunk = match self.full.get_mut(mark.chunks) {
            Some(chunk) => {
                self.set_aside += bytes.len();
                chunk
            }
            None => &mut self.tail,
        };
        chunk
            .bytes
            .splice(mark.bytes..mark.bytes, bytes.iter().copied());
        for inset in &mut chunk.insets[mark.insets..] {
            inset.at += bytes.len();
        }
    }

    /// Everything unsent if it lies in one piece, which is the common case: one `write` will do.
    #[inline]
    pub fn single_piece(&self) -> Option<&[u8]> {
        let single = self.full.is_empty() && self.tail.insets.is_empty();
        single.then(|| &self.tail.bytes[self.sent..])
    }

    /// Everything unsent, piece by piece, for `writev`. No piece is empty.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces {
            output: self,
            chunk: 0,
            inset: 0,
            at: self.sent,
            skip: self.sent_of_inset,
        }
    }

    /// Notes that `len` more bytes have been sent, and lets go of what they held.
    ///
    /// # Panics
    /// If so many bytes were not there.
    pub fn advance(&mut self, mut len: usize) {
        assert!(len <= self.len(), "more was sent than there was");
        while len > 0 {
            let chunk = self.full.front_mut().unwrap_or(&mut self.tail);
            let (end, inset) = match chunk.insets.first() {
                Some(inset) => (inset.at, Some(inset.blob.len())),
                None => (chunk.bytes.len(), None),
            };
            let bytes = len.min(end - self.sent);
            self.sent += bytes;
            len -= bytes;
            if let Some(size) = inset {
                let bytes = len.min(size - self.sent_of_inset);
                self.sent_of_inset += bytes;
                len -= bytes;
            }
            self.drop_sent();
        }
    }

    /// Lets go of the inset or chunk that has been sent to its end.
    fn drop_sent(&mut self) {
        let chunk = self.full.front_mut().unwrap_or(&mut self.tail);
        if let Some(inset) = chunk.insets.first()
            && self.sent_of_inset == inset.blob.len()
        {
            self.set_aside -= self.sent_of_inset;
            self.sent_of_inset = 0;
            chunk.insets.remove(0);
        }
        if self.sent < chunk.bytes.len() || !chunk.insets.is_empty() {
            return;
        }
        self.sent = 0;
        match self.full.pop_front() {
            Some(chunk) => self.set_aside -= chunk.bytes.len(),
            None => self.tail.bytes.clear(),
        }
    }

    /// Gives the memory of an empty output back, and its buffer to the caller, who may [`lend`](Self::lend) it on.
    pub fn release(&mut self) -> Vec<u8> {
        if !self.is_empty() {
            return Vec::new();
        }
        std::mem::take(self).tail.bytes
    }

    /// Whether it has memory of its own to write to.
    #[inline]
    pub fn has_buffer(&self) -> bool {
        self.tail.bytes.capacity() > 0
    }

    /// Writes on in `buffer`: a few warm ones serve all connections of a loop.
    ///
    /// # Panics
    /// If this output [has a buffer](Self::has_buffer) already, or `buffer` is not empty.
    #[inline]
    pub fn lend(&mut self, buffer: Vec<u8>) {
        assert!(!self.has_buffer() && buffer.is_empty());
        self.tail.bytes = buffer;
    }
}

/// The unsent pieces of an [`Output`], oldest first.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    output: &'a Output,
    chunk: usize,
    inset: usize,
    /// Where the next piece begins in its chunk, or in its inset if that is next.
    at: usize,
    skip: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let full = &self.output.full;
            if self.chunk > full.len() {
                return None;
            }
            let chunk = full.get(self.chunk).unwrap_or(&self.output.tail);
            let inset = chunk.insets.get(self.inset);
            let end = inset.map_or(chunk.bytes.len(), |inset| inset.at);
            let piece = if self.at < end {
                &chunk.bytes[std::mem::replace(&mut self.at, end)..end]
            } else if let Some(inset) = inset {
                self.inset += 1;
                &inset.blob[std::mem::take(&mut self.skip)..]
            } else {
                (self.chunk, self.inset, self.at) = (self.chunk + 1, 0, 0);
                continue;
            };
            return Some(piece);
        }
    }
}
