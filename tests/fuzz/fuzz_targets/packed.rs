//! Any bytes as a packed block: walking ends inside it, both ways, whatever they are. And any edits of a block against
//! a vector of texts: it stays valid.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostraka_datatypes::packed::{Edit, Element, Packed};

fn walk<const BACK: bool>(bytes: &[u8]) {
    let block = Packed::<BACK>::new(bytes);
    let mut last = 0;
    for item in block.iter() {
        assert!(item.range.start >= last && item.range.end <= bytes.len());
        last = item.range.end;
        item.element.to_vec();
    }
    if block.is_valid() {
        assert_eq!(block.iter().count(), block.len());
    }
    for index in [0, 1, block.len() / 2, block.len()] {
        let _found = block.get(index);
    }
    let _found = block.find(b"12", 1);
}

fn edit<const BACK: bool>(mut script: &[u8]) {
    let mut block = Edit::<Vec<u8>, BACK>::new(Vec::new());
    let mut model: Vec<Vec<u8>> = Vec::new();
    while let [op, place, len, rest @ ..] = script {
        let (text, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        script = rest;
        let index = usize::from(*place) % (model.len() + 1);
        let found = block.read().get(index).map(|item| item.range);
        match (op % 3, found) {
            (0, None) => {
                block.push_back(&[Element::of(text)]);
                model.push(text.to_vec());
            }
            (0, Some(range)) => {
                block.insert(range.start, &[Element::of(text)]);
                model.insert(index, text.to_vec());
            }
            (1, Some(range)) => {
                block.remove(range, 1);
                model.remove(index);
            }
            (2, Some(range)) => {
                block.replace(range, Element::of(text));
                model[index] = text.to_vec();
            }
            _ => {}
        }
        assert!(block.read().is_valid());
        assert!(block.read().iter().map(|item| item.element.to_vec()).eq(model.iter().cloned()));
    }
}

fuzz_target!(|input: &[u8]| {
    walk::<false>(input);
    walk::<true>(input);
    edit::<false>(input);
    edit::<true>(input);
});
