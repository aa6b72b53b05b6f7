package render

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLogs_areReadByPeopleAndMachines(t *testing.T) {
	at := time.Date(2026, 11, 26, 23, 51, 35, 120_000_000, time.UTC)
	lines := []LogLine{
		{Service: "web", Source: "service", Stream: "events", ID: "1", Message: "[AppRunner] Deployment started."},
		{Service: "web", Source: "service", Stream: "deployment/5b6a7988aabbccddeeff001122334455", ID: "2", Message: "[AppRunner] Pulling image x from ECR repository."},
		{Service: "web", Source: "application", Stream: "instance/1f2e3d4c5b6a", ID: "3", Message: "\x1b[31mlistening\x1b[0m on 8000\r"},
		{Service: "web", Source: "application", Stream: "instance/aaaaaaaabbbb", ID: "4", Message: "Traceback:\n\tboom\n::stop-commands::x"},
		{Service: "web", Source: "application", Stream: "instance/1f2e3d4c5b6a", ID: "5", Message: "``` | \u202e | </pre>"},
		{Service: "web", Source: "application", Stream: "odd", ID: "6", Message: ""},
	}
	for name, o := range map[string]LogOptions{
		"logs.txt":   {},
		"logs.ansi":  {Color: true},
		"logs.json":  {Format: JSON, Color: true},
		"logs.md":    {Format: Markdown, Color: true},
		"logs-2.txt": {Named: true},
	} {
		var b bytes.Buffer
		v := NewLogs(&b, o)
		for i, l := range lines {
			l.Time = at.Add(time.Duration(i) * 1234 * time.Millisecond)
			require.NoError(t, v.Write(l))
		}
		golden(t, name, b.String())
	}
}
