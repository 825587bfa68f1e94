// A TLS server of Go, for the tests.

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		panic(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			server := tls.Server(connection, config)
			err := server.Handshake()
			fmt.Fprintln(os.Stderr, err)
			server.Close()
		}()
	}
}
