//! Decoding allocates nothing, whatever comes: what a stranger sends costs a server no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hii_protocol::{Endpoint, Limits, is_answer, ping, relay, stream};

struct Counting;

thread_local! {
    // Of this thread only: the test harness allocates on others as it likes.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work, with what it was asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const FRAMES: &[&[u8]] = &[
    b"",
    b"C 128",
    b"C 65508",
    b"exit",
    b"Hello Server",
    b"P 00c0ffee 7    ",
    b"A 00c0ffee 7 6 000000000000005f 1200 1789000000000000000     ",
    b"A 00c0ffee 7 x",
    b"Packet Acknowledged",
    b"hii",
    b"hii ?",
    b"hii 000102030405060708090a0b0c0d0e0f",
    b"exit server",
    b"to:192.0.2.7/9000;content:good morning",
    b" TO : [2001:db8::7] / 9000 ; CONTENT : good morning ",
    b"to:192.0.2.7/9000;raw : \xff:;",
    b"to:192.0.2.7/9000;content:\xff",
    b"to:192.0.2.7/9000;content:12:30",
    b"a/b:c;d:e",
    b"from:x/y;z:",
    b"to:x/y;z:",
    b"to:x/0;z:",
    b"to:x/0;content:",
    b"('192.0.2.7', 9000) ; token : 000102030405060708090a0b0c0d0e0f",
    b"('192.0.2.7', 9000",
    b"200, UDP Packet Sent Successfully",
    b"405, Could not send the message to the requested address",
    b"[2001:db8::7]/9000 ; content : good morning",
    b"192.0.2.7/9000 ; raw : \xff",
    b"192.0.2.7/9000 ; content : a:b",
];

#[test]
fn decoding_allocates_nothing() {
    // A counter that counts nothing would prove nothing.
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);

    let long = vec![b' '; 65_508];
    for frame in FRAMES.iter().copied().chain([&long[..], &long[1..]]) {
        let count = allocations(|| {
            let _ = ping::Request::decode(frame);
            let _ = ping::Answer::decode(frame);
            let _ = relay::Request::decode(frame);
            let _ = relay::Answer::decode(frame);
            let _ = is_answer(frame);
            let _ = stream::step(frame, &Limits::DEFAULT);
            if let Ok(text) = str::from_utf8(frame) {
                let _ = text.parse::<Endpoint>();
            }
        });
        assert_eq!(count, 0, "{:?}", String::from_utf8_lossy(frame));
    }
}

#[test]
fn encoding_into_a_buffer_allocates_nothing() {
    let mut buffer = [0; 256];
    for frame in FRAMES {
        let count = allocations(|| {
            if let Ok(request) = ping::Request::decode(frame) {
                let _ = request.encode_into(&mut buffer);
            }
            if let Ok(answer) = ping::Answer::decode(frame) {
                let _ = answer.encode_into(&mut buffer);
            }
            if let Ok(request) = relay::Request::decode(frame) {
                let _ = request.encode_into(&mut buffer);
            }
            if let Ok(answer) = relay::Answer::decode(frame) {
                let _ = answer.encode_into(&mut buffer);
            }
        });
        assert_eq!(count, 0, "{:?}", String::from_utf8_lossy(frame));
    }
}
