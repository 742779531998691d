//! What PFSELFTEST does: ten million elements, shown to dense and sparse registers alike.

use super::{
    DENSE_LEN, Encoding, Pattern, REGISTERS, add, add_dense, cardinality, dense, empty, encoding,
    make_dense,
};

const ELEMENTS: u64 = 10_000_000;

pub struct SelfTest {
    seed: u64,
    /// Elements shown.
    shown: u64,
    /// The number of elements at which the estimates are looked at next.
    checkpoint: u64,
    dense: Vec<u8>,
    sparse: Vec<u8>,
    sparse_max: u64,
}

impl SelfTest {
    pub fn new(seed: u64, sparse_max: u64) -> SelfTest {
        let mut dense = empty();
        let is_new = make_dense(&mut dense);
        assert_eq!((is_new, dense.len()), (Ok(true), DENSE_LEN));
        SelfTest {
            seed,
            shown: 0,
            checkpoint: 1,
            dense,
            sparse: empty(),
            sparse_max,
        }
    }

    /// Goes on with `elements` more. The outcome, once it is known.
    pub fn advance(&mut self, elements: u64) -> Option<Result<(), String>> {
        if self.shown == 0
            && let Err(failure) = self.check_registers()
        {
            return Some(Err(failure));
        }
        for _ in 0..elements.min(ELEMENTS - self.shown) {
            self.shown += 1;
            let pattern = Pattern::of(&(self.shown ^ self.seed).to_le_bytes());
            add_dense(&mut self.dense, pattern);
            let added = add(&mut self.sparse, pattern, self.sparse_max);
            debug_assert!(added.is_ok());
            if self.shown == self.checkpoint {
                if let Err(failure) = self.check() {
                    return Some(Err(failure));
                }
                self.checkpoint *= 10;
            }
        }
        (self.shown == ELEMENTS).then_some(Ok(()))
    }

    /// Registers of 6 bits do not disturb their neighbours.
    fn check_registers(&self) -> Result<(), String> {
        let mut packed = vec![0; REGISTERS * 6 / 8];
        let values: Vec<u8> = (0..REGISTERS)
            .map(|register| Pattern::of(&(register as u64 ^ self.seed).to_le_bytes()).count & 63)
            .collect();
        dense::write(&mut packed, &values);
        let mut outcome = Ok(());
        dense::each(&packed, |register, value| {
            let expected = values[register];
            if value != expected && outcome.is_ok() {
                outcome = Err(format!(
                    "TESTFAILED Register {register} should be {expected} but is {value}"
                ));
            }
        });
        outcome
    }

    fn check(&self) -> Result<(), String> {
        let must_be_sparse = self.shown < self.sparse_max / 2;
        if must_be_sparse && encoding(&self.sparse) != Some(Encoding::Sparse) {
            return Err("TESTFAILED sparse encoding not used".into());
        }
        let estimate = cardinality(&self.dense);
        if estimate != cardinality(&self.sparse) {
            return Err("TESTFAILED dense/sparse disagree".into());
        }
        let shown = self.shown;
        let error = estimate.map_or(u64::MAX, |estimate| estimate.abs_diff(shown));
        // Six times the standard error; among ten elements a single collision is not unlikely.
        let standard_error = 1.04 / (REGISTERS as f64).sqrt();
        let allowed = match shown {
            10 => 1,
            _ => (standard_error * 6.0 * shown as f64).ceil() as u64,
        };
        if error > allowed {
            return Err(format!(
                "TESTFAILED Too big error. card:{shown} abserr:{error}"
            ));
        }
        Ok(())
    }
}
