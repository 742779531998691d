//! Packed blocks, walked one way and both ways, against vectors of texts.

mod texts;

use ostraka_datatypes::packed::{Edit, Element, Packed};
use proptest::collection::vec;
use proptest::prelude::*;

use texts::text;

#[derive(Clone, Debug)]
enum Op {
    PushBack(Vec<Vec<u8>>),
    PushFront(Vec<Vec<u8>>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Replace(usize, Vec<u8>),
    PopFront,
    Find(Vec<u8>, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => vec(text(), 0..4).prop_map(Op::PushBack),
        2 => vec(text(), 0..4).prop_map(Op::PushFront),
        3 => (any::<usize>(), text()).prop_map(|(at, text)| Op::Insert(at, text)),
        3 => (any::<usize>(), 0_usize..4).prop_map(|(at, count)| Op::Remove(at, count)),
        3 => (any::<usize>(), text()).prop_map(|(at, text)| Op::Replace(at, text)),
        1 => Just(Op::PopFront),
        2 => (text(), 1_usize..4).prop_map(|(text, step)| Op::Find(text, step)),
    ]
}

fn elements(texts: &[Vec<u8>]) -> Vec<Element<'_>> {
    texts.iter().map(|text| Element::of(text)).collect()
}

fn apply<const BACK: bool>(block: &mut Edit<Vec<u8>, BACK>, model: &mut Vec<Vec<u8>>, op: &Op) {
    match op {
        Op::PushBack(texts) => {
            block.push_back(&elements(texts));
            model.extend(texts.iter().cloned());
        }
        Op::PushFront(texts) => {
            block.push_front(&elements(texts));
            model.splice(0..0, texts.iter().cloned());
        }
        Op::Insert(at, text) => {
            let at = at % (model.len() + 1);
            let place = block
                .read()
                .get(at)
                .map_or(block.read().total_bytes(), |item| item.range.start);
            block.insert(place, &[Element::of(text)]);
            model.insert(at, text.clone());
        }
        Op::Remove(at, count) if !model.is_empty() => {
            let at = at % model.len();
            let count = (*count).min(model.len() - at);
            if count > 0 {
                let start = block.read().get(at).unwrap().range.start;
                let end = block.read().get(at + count - 1).unwrap().range.end;
                block.remove(start..end, count);
                model.drain(at..at + count);
            }
        }
        Op::Replace(at, text) if !model.is_empty() => {
            let at = at % model.len();
            let range = block.read().get(at).unwrap().range;
            let range = block.replace(range, Element::of(text));
            let item = block.read().iter_from(range.start).next().unwrap();
            assert!(item.element.is(text) && item.range == range);
            model[at] = text.clone();
        }
        Op::PopFront => {
            let popped = block.pop_front();
            assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
        }
        Op::Find(text, step) => find(block, model, text, *step),
        Op::Remove(..) | Op::Replace(..) => {}
    }
}

fn find<const BACK: bool>(
    block: &Edit<Vec<u8>, BACK>,
    model: &[Vec<u8>],
    text: &Vec<u8>,
    step: usize,
) {
    for needle in model.iter().chain([text]) {
        let expected = (0..model.len())
            .step_by(step)
            .find(|&at| model[at] == *needle);
        let expected = expected.map(|at| block.read().get(at).unwrap().range);
        assert_eq!(
            block.read().find(needle, step).map(|item| item.range),
            expected
        );
    }
}

fn check<const BACK: bool>(block: &Edit<Vec<u8>, BACK>, model: &[Vec<u8>]) {
    let block = block.read();
    assert!(block.is_valid());
    assert_eq!(
        (block.len(), block.is_empty()),
        (model.len(), model.is_empty())
    );
    assert_eq!(block.total_bytes() == 0, model.is_empty());
    let walked: Vec<Vec<u8>> = block.iter().map(|item| item.element.to_vec()).collect();
    assert_eq!(walked, model);
    for (at, text) in model.iter().enumerate() {
        let item = block.get(at).unwrap();
        assert!(item.element.is(text) && item.element.len() == text.len());
        assert_eq!(item.element.text(&mut itoa::Buffer::new()), text);
    }
    assert_eq!(block.get(model.len()), None);
}

proptest! {
    #[test]
    fn forward_blocks_are_vectors(ops in vec(op(), 1..40)) {
        let mut block = Edit::<_, false>::new(Vec::new());
        let mut model = Vec::new();
        for op in &ops {
            apply(&mut block, &mut model, op);
            check(&block, &model);
        }
    }

    #[test]
    fn blocks_for_both_directions_are_vectors(ops in vec(op(), 1..40)) {
        let mut block = Edit::<_, true>::new(Vec::new());
        let mut model = Vec::new();
        for op in &ops {
            apply(&mut block, &mut model, op);
            check(&block, &model);
            let back: Vec<Vec<u8>> = block.read().iter().rev().map(|item| item.element.to_vec()).collect();
            prop_assert!(back.iter().rev().eq(model.iter()));
        }
        while let Some(text) = block.pop_back() {
            prop_assert_eq!(Some(text), model.pop());
        }
        prop_assert!(model.is_empty());
    }

    #[test]
    fn foreign_bytes_never_lead_out_of_the_block(bytes in vec(any::<u8>(), 0..200)) {
        let one_way = Packed::<false>::new(&bytes);
        let valid = one_way.is_valid();
        let walked = one_way.iter().count();
        prop_assert!(!valid || walked == one_way.len());
        prop_assert!(one_way.iter().all(|item| item.range.end <= bytes.len()));
        let both = Packed::<true>::new(&bytes);
        prop_assert!(both.iter().rev().chain(both.iter()).all(|item| item.range.end <= bytes.len()));
        prop_assert!(both.get(3).is_none_or(|item| item.range.end <= bytes.len()));
        let _ = (one_way.find(b"x", 2), both.find(b"12", 1), both.is_valid());
    }
}

#[test]
fn counts_beyond_the_head_are_walked() {
    let mut block = Edit::<_, false>::new(Vec::new());
    let many = vec![Element::Int(7); 40_000];
    block.push_back(&many);
    block.push_back(&many);
    assert_eq!(block.read().len(), 80_000);
    let end = block.read().get(30_000).unwrap().range.start;
    block.remove(2..end, 30_000);
    assert_eq!(block.read().len(), 50_000);
    assert!(block.read().is_valid());
}

#[test]
fn elements_take_the_bytes_that_are_promised() {
    for (text, bytes) in [
        ("127", 1),
        ("128", 2),
        ("-1", 2),
        ("-4096", 2),
        ("4095", 2),
        ("-4097", 3),
        ("4096", 3),
        ("100000", 4),
        ("field:0001", 11),
    ] {
        let mut block = Edit::<_, false>::new(Vec::new());
        block.push_back(&[Element::of(text.as_bytes())]);
        assert_eq!(block.read().total_bytes(), 2 + bytes, "{text}");
        let mut block = Edit::<_, true>::new(Vec::new());
        block.push_back(&[Element::of(text.as_bytes())]);
        assert_eq!(block.read().total_bytes(), 3 + bytes, "{text}");
        let element = block.read().get(0).expect("the element").element;
        assert_eq!(element.to_vec(), text.as_bytes());
    }
}
