package apprunner

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/stretchr/testify/require"
)

// The emulator has each operation that the SDK has, and no other.
func TestAPI_hasEveryOperation(t *testing.T) {
	t.Parallel()
	var want []string
	client := reflect.TypeFor[*sdk.Client]()
	for m := range client.Methods() {
		// func(*Client, context.Context, *XInput, ...func(*Options)) (*XOutput, error)
		if m.Type.IsVariadic() && m.Type.NumIn() == 4 && strings.HasSuffix(m.Type.In(2).String(), "."+m.Name+"Input") {
			want = append(want, m.Name)
		}
	}
	require.GreaterOrEqual(t, len(want), 37)
	var have []string
	for name := range newRig(t).s.API().Operations {
		have = append(have, name)
	}
	slices.Sort(want)
	slices.Sort(have)
	require.Equal(t, want, have)
}
