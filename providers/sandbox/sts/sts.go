// Package sts is the sandbox's Security Token Service: it says who calls, and knows one
// caller.
package sts

import (
	"context"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// UserID is the caller's unique id.
const UserID = "AIDASANDBOXSANDBOX000"

// API answers for the given account, whose one user is called "sandbox".
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func API(account string) wire.QueryAPI {
	return wire.QueryAPI{
		SigningName: "sts",
		Version:     "2011-06-15",
		Namespace:   "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: map[string]wire.QueryOperation{
			"GetCallerIdentity": wire.HandleQuery(func(context.Context, struct{}) (identity, error) {
				return identity{UserArn(account), UserID, account}, nil
			}),
		},
	}
}

type identity struct{ Arn, UserId, Account string }

// UserArn is the ARN of the sandbox's one user.
func UserArn(account string) string { return "arn:aws:iam::" + account + ":user/sandbox" }
