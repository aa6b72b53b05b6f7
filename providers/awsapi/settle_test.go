package awsapi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// TestSettle_saysWhatWouldHelp of a refusal that no waiting heals.
func TestSettle_saysWhatWouldHelp(t *testing.T) {
	heals := errors.New("not there yet")
	c := awsapi.Consistency{Patience: time.Minute, Heals: func(err error) bool { return errors.Is(err, heals) }}
	steps := 0
	err := c.Settle(t.Context(), `role "web"`, func(context.Context) (bool, error) {
		if steps++; steps == 1 {
			return false, heals
		}
		return false, &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized to perform: iam:DeleteRole"}
	})
	require.EqualError(t, err, `role "web": AccessDenied: not authorized to perform: iam:DeleteRole`)
	var known *awsapi.Error
	require.ErrorAs(t, err, &known)
	require.True(t, known.Credentials)
	require.Contains(t, known.Hint(), "apron docs permissions")
	require.Equal(t, 2, steps)
}
