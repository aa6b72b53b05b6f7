package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// address is every instance's own, on its loopback interface beside 127.0.0.1, so that
// what listens there alone cannot be reached, as in any container.
var address = netip.AddrFrom4([4]byte{10, 88, 0, 2})

// socketTimeout is how long the keeper may take to make a socket.
const socketTimeout = 5 * time.Second

// Dial implements [Instance].
func (i *cell) Dial(ctx context.Context) (net.Conn, error) {
	to := netip.AddrPortFrom(address, uint16(i.port))
	fd, err := i.socket(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial %s in the instance: %w", to, err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if err := connect(ctx, f, to); err != nil {
		return nil, fmt.Errorf("dial %s in the instance: %w", to, err)
	}
	return net.FileConn(f)
}

// socket asks the keeper for one in the app's network.
func (i *cell) socket(ctx context.Context) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.done:
		return 0, errEnded
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	default:
	}
	if err := i.sockets.SetDeadline(time.Now().Add(socketTimeout)); err != nil {
		return 0, err
	}
	if _, err := i.sockets.Write([]byte{0}); err != nil {
		return 0, errEnded
	}
	b, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := i.sockets.ReadMsgUnix(b, oob)
	if err != nil || n == 0 {
		return 0, errors.Join(errEnded, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return 0, fmt.Errorf("keeper's answer: %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, fmt.Errorf("keeper's answer: %d sockets: %w", len(fds), err)
	}
	return fds[0], nil
}

// connect does what a [net.Dialer] does, with a socket that it did not make.
func connect(ctx context.Context, f *os.File, to netip.AddrPort) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	end := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer end()
	begun := false
	var result error
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
			return result != unix.EINPROGRESS
		}
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if result = err; err == nil && n != 0 {
			result = syscall.Errno(n)
		}
		return true
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(err, result)
}
