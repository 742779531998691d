//! Views: reading what a table held at one moment, in slices, while writers go on.
//!
//! Nothing is copied and nothing is kept back. A view brings a visitor; whoever is about to change a segment that
//! the visitor has not seen shows it to the visitor first, whole, and the view's owner walks the rest. So every
//! segment is visited once, in the state of the moment when the view began, though in no certain order.
//!
//! ```text
//!  clock 7: view A begins at 8, clock = 8             stamp of a segment: clock when last shown
//!  a write to a segment of stamp ≤ 7 shows it to A, stamp = 8
//!  view B begins at 9, clock = 9
//!  a write to a segment of stamp 8 shows it to B; of stamp ≤ 7 to A and B; then stamp = 9
//! ```
//! Invariants: 1. a living view has passed exactly the segments whose stamp is at least its epoch; 2. no stamp exceeds
//! the clock; 3. a segment is changed only while its stamp is at least the epoch of every living view; 4. a block made by
//! a split, merge or resize starts with the clock as its stamp, after its sources were shown.
//! Without a living view a write pays one branch. Hints are not part of what a view promises.

use super::Table;
use super::element::Element;
use super::scan::Elements;
use super::segment::Segment;
use std::any::Any;

/// Who looks at a table through a view. (`Any`, so that the owner gets her own type back from
/// [`Table::end_view`]: `(visitor as Box<dyn Any>).downcast()`.)
pub trait Visitor<E: Element>: Any + Send + Sync {
    /// Sees all elements of one segment, up to some 1,600 of them: what is done per element counts towards the
    /// longest pause of whoever happens to write. Each segment comes once; hash positions are in no order.
    fn visit(&mut self, elements: Elements<'_, E>);
}

/// Names a living view of one table; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewId(u64);

/// How far a view is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There are segments left to look at.
    More,
    /// The visitor has seen everything (or the view was ended).
    Done,
}

pub(super) struct View<E> {
    /// Clock when the view began.
    epoch: u64,
    /// The hash up to which the owner has walked; `None` when at the end.
    next: Option<u64>,
    visitor: Box<dyn Visitor<E>>,
}

impl<E: Element> Table<E> {
    /// Begins a view: from now on `visitor` will be shown the elements that are in the table at this moment.
    pub fn begin_view(&mut self, visitor: Box<dyn Visitor<E>>) -> ViewId {
        self.clock += 1;
        self.views.push(View {
            epoch: self.clock,
            next: Some(0),
            visitor,
        });
        ViewId(self.clock)
    }

    /// Walks over up to `max_segments` segments in hash order and shows those that no writer has shown already.
    /// Views that are behind look along, so that a segment is shown to all of them or to none.
    pub fn step_view(&mut self, id: ViewId, max_segments: usize) -> Progress {
        let Some(view) = self.views.iter().position(|view| view.epoch == id.0) else {
            return Progress::Done;
        };
        for _ in 0..max_segments {
            let Some(hash) = self.views[view].next else {
                return Progress::Done;
            };
            self.views[view].next = self.segment(hash).and_then(|segment| {
                self.before_write(segment);
                segment.next_segment(hash)
            });
        }
        match self.views[view].next {
            Some(_) => Progress::More,
            None => Progress::Done,
        }
    }

    /// Ends a view, done or not, and returns its visitor; `None` if it was ended before.
    pub fn end_view(&mut self, id: ViewId) -> Option<Box<dyn Visitor<E>>> {
        let view = self.views.iter().position(|view| view.epoch == id.0)?;
        let visitor = self.views.swap_remove(view).visitor;
        if self.views.is_empty() {
            self.views = Vec::new();
        }
        Some(visitor)
    }

    /// Number of living views.
    #[must_use]
    pub fn views(&self) -> usize {
        self.views.len()
    }

    /// Must precede every change to a segment's elements.
    #[inline(always)]
    pub(super) fn before_write(&mut self, segment: Segment) {
        if !self.views.is_empty() {
            self.show(segment);
        }
    }

    #[cold]
    #[inline(never)]
    fn show(&mut self, segment: Segment) {
        let stamp = segment.stamp();
        for view in self.views.iter_mut().filter(|view| view.epoch > stamp) {
            view.visitor.visit(Elements::of_segment(segment));
        }
        segment.set_stamp(self.clock);
    }
}
