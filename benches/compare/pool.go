// The Go pool that tlsweep is measured against: workers that dial, shake hands, read, close, and
// say which version and suite were agreed on. One target a line on stdin, one result a line.
package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

type pool struct {
	dialer       net.Dialer
	config       tls.Config
	read         time.Duration
	goodbyeFirst bool
}

func main() {
	workers := flag.Int("workers", 65536, "targets dialled at once")
	timeout := flag.Duration("timeout", 10*time.Second, "longest time for connect and handshake together")
	read := flag.Duration("read", 100*time.Millisecond, "longest time for what comes after the handshake")
	goodbye := flag.String("goodbye", "last", "when to send close_notify: last, after the whole read time, or first")
	classical := flag.Bool("classical", false, "offer X25519 and P-256 only, no post-quantum group")
	flag.Parse()

	p := &pool{
		// No keep-alive, and no second dial beside a slow one: what a pool that is made for sweeps sets.
		dialer:       net.Dialer{Timeout: *timeout, KeepAlive: -1, FallbackDelay: -1},
		config:       tls.Config{InsecureSkipVerify: true},
		read:         *read,
		goodbyeFirst: *goodbye == "first",
	}
	if *classical {
		p.config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	targets := make(chan string, 64)
	results := make(chan string, 256)
	go readTargets(targets)

	var working sync.WaitGroup
	for range *workers {
		working.Go(func() {
			for target := range targets {
				results <- target + "\t" + p.dial(target) + "\n"
			}
		})
	}
	go func() {
		working.Wait()
		close(results)
	}()
	out := bufio.NewWriter(os.Stdout)
	for line := range results {
		out.WriteString(line)
	}
	out.Flush()
}

func readTargets(targets chan<- string) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		targets <- lines.Text()
	}
	close(targets)
}

func (p *pool) dial(target string) string {
	conn, err := tls.DialWithDialer(&p.dialer, "tcp", target, &p.config)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(p.read))
	if p.goodbyeFirst {
		conn.CloseWrite()
	}
	io.Copy(io.Discard, conn)
	agreed := conn.ConnectionState()
	return tls.VersionName(agreed.Version) + "\t" + tls.CipherSuiteName(agreed.CipherSuite)
}
