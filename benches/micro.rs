//! The work on each target outside the handshake: parse, classify, facts, verdict, encode.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may panic")]

mod operations;

use criterion::{Criterion, criterion_group, criterion_main};

fn micro(criterion: &mut Criterion) {
    let operations = operations::operations().into_iter().chain(operations::costly());
    for (name, mut operation) in operations {
        criterion.bench_function(name, |bencher| bencher.iter(&mut operation));
    }
}

criterion_group!(benches, micro);
criterion_main!(benches);
