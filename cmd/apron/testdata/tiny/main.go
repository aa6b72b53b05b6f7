// Command tiny is the smallest service that passes a health check, for tests that deploy
// it hundreds of times: most of what a deployment costs grows with the program's size.
package main

import (
	"net"
	"os"
)

func main() {
	l, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		println("tiny:", err.Error())
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			println("tiny:", err.Error())
			os.Exit(1)
		}
		go answer(c)
	}
}

// answer says yes to whatever is asked.
func answer(c net.Conn) {
	defer c.Close()
	if _, err := c.Read(make([]byte, 4096)); err == nil {
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) // who left needs none
	}
}
