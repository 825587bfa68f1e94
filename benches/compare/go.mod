module tlsweep/benches/compare

go 1.25
