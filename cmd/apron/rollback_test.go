package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestChooseRelease(t *testing.T) {
	place := records.Place{Repository: "shop", Service: "web"}
	all := []release.Record{ // the newest first
		{Number: 5, Kind: release.Destroy, Result: release.Succeeded},
		{Number: 4, Kind: release.Apply, Result: release.Failed, Image: release.Image{Version: "v2"}},
		{Number: 3, Kind: release.Apply, Result: release.Succeeded, Image: release.Image{Version: "v1"}, Manifest: "c"},
		{Number: 2, Kind: release.Apply, Result: release.Succeeded, Image: release.Image{Version: "v1"}, Manifest: "b"},
	}
	for name, tc := range map[string]struct {
		number  int
		version string
		want    int
		err     string
	}{
		"a number":             {number: 2, want: 2},
		"a version, newest":    {version: "v1", want: 3},
		"what was destroyed":   {want: 3},
		"one that failed":      {number: 4, err: "release 4 of web has failed"},
		"a destroy":            {number: 5, err: "is a destroy"},
		"none of that number":  {number: 9, err: "release 9 of web is not recorded"},
		"none of that version": {version: "v2", err: "a release that succeeded with version v2 of web is not recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := chooseRelease(place, all, state.Observed{}, tc.number, tc.version)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Number)
		})
	}
}
