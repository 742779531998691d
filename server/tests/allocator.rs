//! What Rust asks of an allocator holds for ours: hash tables of every small size live in properly aligned memory.

use std::collections::HashSet;

#[global_allocator]
static ALLOCATOR: ostraka_server::os::allocator::Allocator =
    ostraka_server::os::allocator::Allocator;

/// A table of four places takes 52 bytes aligned to 16, for which there is a size class of 56. One that is misaligned
/// ends the process as soon as it grows or is walked.
#[test]
fn hash_tables_of_every_size_can_grow() {
    let mut kept = Vec::new();
    for size in (0..2000_u64).map(|n| n % 40) {
        let mut set = HashSet::new();
        set.extend(0..size);
        assert_eq!(set.iter().sum::<u64>(), (0..size).sum());
        kept.push(set);
    }
    assert!(kept.iter().map(HashSet::len).eq((0..2000).map(|n| n % 40)));
}
