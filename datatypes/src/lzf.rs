//! LZF, the compression of RDB's strings and of a list's inner chunks: fast, and good enough for repetitive text.
//!
//! The format is that of Marc Lehmann's liblzf, which Redis' RDB files hold:
//! ```text
//! 000LLLLL  bytes...                  L + 1 literal bytes follow
//! LLLooooo  oooooooo                  L = 1..6: copy L + 2 bytes from o + 1 bytes back
//! 111ooooo  LLLLLLLL  oooooooo        copy L + 9 bytes from o + 1 bytes back
//! ```
//! A copy may overlap what it writes. Nothing tells the original length: whoever stores the bytes keeps it.
//!
//! Compressed bytes come from files and from other servers, so [`decompress`] trusts nothing.

const MAX_LITERALS: usize = 1 << 5;
const MAX_DISTANCE: usize = 1 << 13;
const MIN_COPY: usize = 3;
const MAX_COPY: usize = (1 << 8) + (1 << 3);

/// Positions remembered, by a hash of the three bytes there. 16 KiB of stack, cleared per call.
const HASH_BITS: u32 = 12;

/// Output per byte of input at most: three bytes say 264.
const MAX_EXPANSION: usize = MAX_COPY / 3;

/// `input` compressed, if that takes at most `limit` bytes.
pub fn compress(input: &[u8], limit: usize) -> Option<Vec<u8>> {
    u32::try_from(input.len()).ok()?;
    let mut seen = [0_u32; 1 << HASH_BITS];
    let mut out = Vec::with_capacity(limit.min(input.len()));
    let (mut at, mut literals_from) = (0, 0);
    while at + MIN_COPY <= input.len() {
        let place = &mut seen[hash(&input[at..at + MIN_COPY])];
        // Positions are kept plus one, so that zero is none.
        let candidate = std::mem::replace(place, at as u32 + 1) as usize;
        let copied = match candidate.checked_sub(1) {
            Some(from) if at - from <= MAX_DISTANCE => common(input, from, at),
            _ => 0,
        };
        if copied < MIN_COPY {
            at += 1;
            continue;
        }
        put_literals(&mut out, &input[literals_from..at]);
        put_copy(&mut out, at - candidate, copied);
        if out.len() > limit {
            return None;
        }
        at += copied;
        literals_from = at;
    }
    put_literals(&mut out, &input[literals_from..]);
    (out.len() <= limit).then_some(out)
}

fn hash(three: &[u8]) -> usize {
    let word = u32::from_le_bytes([three[0], three[1], three[2], 0]);
    (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes from `at` on are the same as from `from` on, up to what one copy can say.
fn common(input: &[u8], from: usize, at: usize) -> usize {
    let most = MAX_COPY.min(input.len() - at);
    let pairs = input[from..].iter().zip(&input[at..at + most]);
    pairs.take_while(|(one, other)| one == other).count()
}

fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

/// `back` is the distance minus one.
fn put_copy(out: &mut Vec<u8>, back: usize, len: usize) {
    let (high, low, len) = ((back >> 8) as u8, back as u8, len - 2);
    if len < 7 {
        out.extend_from_slice(&[(len as u8) << 5 | high, low]);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (len - 7) as u8, low]);
    }
}

/// The `len` bytes that `input` stands for; nothing if it stands for anything else.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len / MAX_EXPANSION > input.len() {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = input;
    while let Some((&control, after)) = rest.split_first() {
        let control = usize::from(control);
        if control < MAX_LITERALS {
            let (literals, after) = after.split_at_checked(control + 1)?;
            out.extend_from_slice(literals);
            rest = after;
        } else {
            let (more, after) = match control >> 5 {
                7 => after.split_first()?,
                _ => (&0, after),
            };
            let (&low, after) = after.split_first()?;
            let back = (control & 31) << 8 | usize::from(low);
            let from = out.len().checked_sub(back + 1)?;
            copy_within(&mut out, from, (control >> 5) + usize::from(*more) + 2);
            rest = after;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// Appends `len` bytes from `from` on, which may be bytes that this appends.
fn copy_within(out: &mut Vec<u8>, from: usize, len: usize) {
    if from + len <= out.len() {
        out.extend_from_within(from..from + len);
    } else {
        for at in from..from + len {
            out.push(out[at]);
        }
    }
}
