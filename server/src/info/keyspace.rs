//! `# Keyspace`: how many keys each database has, if any.

use std::fmt::Write as _;

use super::{Facts, TO_MEMORY};

/// `db0:keys=2,expires=1,avg_ttl=5000,subexpiry=0`
pub fn databases(f: &Facts<'_>, text: &mut String) {
    for (number, db) in f.keys.databases.iter().enumerate() {
        if db.keys > 0 {
            let ttl = db.average_ttl_ms(f.now_ms());
            write!(
                text,
                "db{number}:keys={},expires={},avg_ttl={ttl},subexpiry={}\r\n",
                db.keys, db.volatile, db.timed_hashes
            )
            .expect(TO_MEMORY);
        }
    }
}
