//! Slots: which of 16,384 places a key belongs to, in this server's cells as in a cluster.
//!
//! A slot is the CRC-16/XMODEM of the key (polynomial 0x1021, start 0, not reflected) modulo 16,384. Of a key with a
//! hash tag, `{user1000}.following`, only the tag counts, so that keys can be put together on purpose.

use memchr::memchr;

/// Number of slots.
pub const SLOTS: u16 = 16_384;

const POLYNOMIAL: u16 = 0x1021;

/// `TABLES[n][byte]` is the checksum of `byte` followed by `n` zeros: eight bytes are looked up independently of one
/// another instead of each waiting for the last.
static TABLES: [[u16; 256]; 8] = tables();

const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                crc << 1 ^ POLYNOMIAL
            } else {
                crc << 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u16 = tables[zeros - 1][byte];
            tables[zeros][byte] = crc << 8 ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

/// The slot of `key`, below [`SLOTS`].
#[inline]
pub fn slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// The part of `key` that decides its slot: what stands between the first `{` and the next `}`, or all of it.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr(b'{', key) else {
        return key;
    };
    let tag = &key[open + 1..];
    match memchr(b'}', tag) {
        Some(close) if close > 0 => &tag[..close],
        _ => key,
    }
}

/// CRC-16/XMODEM.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let crc = eights.iter().fold(0_u16, |crc, eight| {
        let [high, low] = crc.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = *eight;
        at(7, a ^ high)
            ^ at(6, b ^ low)
            ^ at(5, c)
            ^ at(4, d)
            ^ at(3, e)
            ^ at(2, f)
            ^ at(1, g)
            ^ at(0, h)
    });
    rest.iter()
        .fold(crc, |crc, byte| crc << 8 ^ at(0, (crc >> 8) as u8 ^ byte))
}

#[inline]
fn at(zeros: usize, byte: u8) -> u16 {
    TABLES[zeros][usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn crc16_model(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                crc << 1 ^ if crc & 0x8000 != 0 { POLYNOMIAL } else { 0 }
            })
        })
    }

    #[test]
    fn the_checksum_is_xmodems() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        let bytes: Vec<u8> = (0..200_u32).map(|n| (n * 167 + 13) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(crc16(&bytes[..len]), crc16_model(&bytes[..len]));
        }
    }

    #[test]
    fn slots_are_those_of_a_cluster() {
        let known = [
            ("", 0),
            ("foo", 12_182),
            ("bar", 5061),
            ("hello", 866),
            ("somekey", 11_058),
            ("key:000000000001", 8924),
        ];
        for (key, expected) in known {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn only_the_first_whole_tag_counts() {
        let cases = [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("foo}bar{", "foo}bar{"),
            ("}{a}", "a"),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }
}
