package mapped

import "os"

func read(name string) (data []byte, done func(), err error) {
	data, err = os.ReadFile(name)
	return data, func() {}, err
}
