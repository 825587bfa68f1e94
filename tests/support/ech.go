// A TLS server of Go that knows Encrypted ClientHello, for the tests.
//
// Usage: ADDRESS CHAIN KEY FOLDER PUBLIC_NAME CONFIG_ID yes|no. The folder gets `list`, with its
// configuration, and `log`, with a line for each handshake. The last word says whether the server offers
// its configuration to clients that have another.

package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

func vector16(bytes []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(bytes))), bytes...)
}

// ECHConfig of RFC 9849, section 4, with X25519, HKDF-SHA256, and AES-128-GCM or ChaCha20-Poly1305.
func configuration(id byte, key []byte, publicName string) []byte {
	contents := []byte{id, 0, 0x20}
	contents = append(contents, vector16(key)...)
	contents = append(contents, vector16([]byte{0, 1, 0, 1, 0, 1, 0, 3})...)
	contents = append(contents, 0, byte(len(publicName)))
	contents = append(contents, publicName...)
	contents = append(contents, 0, 0)
	return append([]byte{0xfe, 0x0d}, vector16(contents)...)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	pair := must(tls.LoadX509KeyPair(os.Args[2], os.Args[3]))
	folder := os.Args[4]
	id := must(strconv.Atoi(os.Args[6]))
	key := must(ecdh.X25519().GenerateKey(rand.Reader))
	own := configuration(byte(id), key.PublicKey().Bytes(), os.Args[5])
	if err := os.WriteFile(filepath.Join(folder, "list"), vector16(own), 0o644); err != nil {
		panic(err)
	}
	log := must(os.Create(filepath.Join(folder, "log")))
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{
			{Config: own, PrivateKey: key.Bytes(), SendAsRetry: os.Args[7] == "yes"},
		},
	}
	listener := must(net.Listen("tcp", os.Args[1]))
	var writing sync.Mutex
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			server := tls.Server(connection, config)
			server.Handshake()
			state := server.ConnectionState()
			writing.Lock()
			fmt.Fprintln(log, state.ECHAccepted, state.ServerName)
			writing.Unlock()
			server.Close()
		}()
	}
}
