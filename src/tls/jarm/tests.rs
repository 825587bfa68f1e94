use super::*;

#[test]
fn lists_are_put_in_order_as_in_the_original() {
    let odd = || vec![1, 2, 3, 4, 5];
    let even = || vec![1, 2, 3, 4];
    for (order, of_odd, of_even) in [
        (Order::Forward, vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4]),
        (Order::Reverse, vec![5, 4, 3, 2, 1], vec![4, 3, 2, 1]),
        (Order::TopHalf, vec![3, 2, 1], vec![2, 1]),
        (Order::BottomHalf, vec![4, 5], vec![3, 4]),
        (Order::MiddleOut, vec![3, 4, 2, 5, 1], vec![3, 2, 4, 1]),
    ] {
        assert_eq!(order.of(odd()), of_odd);
        assert_eq!(order.of(even()), of_even);
        assert_eq!(order.of(Vec::<u8>::new()), Vec::<u8>::new());
    }
}

#[test]
fn there_are_ten_hellos_each_whole() {
    let mut rng = Rng::with_seed(7);
    for number in 0..HELLOS {
        let hello = hello(number, "example.com", &mut rng).unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
    }
    assert_eq!(hello(HELLOS, "example.com", &mut rng), None);
}

/// A ServerHello of TLS 1.2 with these extensions, in a record.
fn server_hello(suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.push(0);
    put16(&mut body, suite);
    body.push(0);
    if !extensions.is_empty() {
        prefixed::<2>(&mut body, |all| all.extend(extensions));
    }
    let mut message = vec![SERVER_HELLO];
    prefixed::<3>(&mut message, |all| all.extend(body));
    let mut record = vec![HANDSHAKE, 3, 3];
    prefixed::<2>(&mut record, |all| all.extend(message));
    record
}

#[test]
fn answers_are_read_as_the_original_reads_them() {
    let read =
        |bytes: &[u8]| Answer::read(bytes).map(|a| (a.suite, a.version, a.alpn, a.extensions));
    let some = |suite, alpn: &str, extensions: &str| {
        Some((suite, 'd', alpn.to_owned(), extensions.to_owned()))
    };
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let reneg = [0xff, 1, 0, 1, 0];
    let hello = |extensions: &[u8]| server_hello(0xc02f, extensions);
    assert_eq!(read(&hello(&reneg)), some(41, "", "ff01"));
    assert_eq!(read(&hello(&[&reneg[..], &alpn].concat())), some(41, "h2", "ff01-0010"));
    assert_eq!(read(&server_hello(0x1305, &reneg)), some(69, "", "ff01"));
    assert_eq!(read(&server_hello(0x0004, &reneg)), some(1, "", "ff01"));
    assert_eq!(read(&server_hello(0x1234, &reneg)), some(70, "", "ff01"));
    assert_eq!(read(&hello(&[])), some(41, "", ""));
    // A Certificate stands where the extensions could be.
    assert_eq!(read(&[hello(&[]), vec![11, 0, 2, 0]].concat()), some(41, "", ""));
    // Whatever makes the original fail: an ALPN extension without a body, one that is no text.
    for broken in [&[0, 16, 0, 0][..], &[0, 16, 0, 4, 0, 2, 1, 0xff], &[0, 16, 0, 4, 0, 2, 1, b',']]
    {
        assert_eq!(read(&hello(broken)), None);
    }
    assert_eq!(read(&[21, 3, 3, 0, 2, 2, 40]), None);
    assert_eq!(read(b"HTTP/1.1 400 Bad Request"), None);
    let mut odd_version = hello(&reneg);
    odd_version[10] = 9;
    assert_eq!(read(&odd_version), None);
}

/// No answer, cut or with another byte anywhere, is more than a fingerprint of 62 characters.
#[test]
fn whatever_is_answered_makes_a_fingerprint_of_62_characters() {
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0xff, 1, 0, 1, 0];
    let whole = server_hello(0xc02f, &alpn);
    let mut rng = Rng::with_seed(7);
    let mut read = 0;
    for length in 0..=whole.len() {
        for _ in 0..200 {
            let mut bytes = whole[..length].to_vec();
            for _ in 0..rng.usize(0..3) {
                if let Some(byte) = bytes.get_mut(rng.usize(0..length.max(1))) {
                    *byte = rng.u8(..);
                }
            }
            let answer = Answer::read(&bytes);
            read += usize::from(answer.is_some());
            let text = fingerprint(&std::array::from_fn(|_| answer.clone()));
            assert_eq!(text.len(), 62);
            assert!(
                text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
            );
        }
    }
    assert!(read > 100, "{read}");
    let long = [&whole[..], &vec![0xff; 100_000]].concat();
    assert!(Answer::read(&long).is_some());
}

#[test]
fn the_fingerprint_of_silence_is_62_zeros() {
    assert_eq!(fingerprint(&Default::default()), NONE);
    assert_eq!(NONE.len(), 62);
}
