package apprunner

import (
	"context"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// maxConnections is the quota of connections.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
const maxConnections = 10

// pendingHandshake is the status of a connection that nobody has approved in the
// provider's and App Runner's consoles. The sandbox has neither, so connections stay so.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-connections.html
const pendingHandshake = "PENDING_HANDSHAKE"

// connection is a connection to a provider of source code as stored.
type connection struct {
	ARN       string
	Name      string
	Provider  string
	CreatedAt wire.Time
	Tags      map[string]string
}

type connectionShape struct {
	ConnectionName string
	ConnectionArn  string
	ProviderType   string
	Status         string
	CreatedAt      wire.Time
}

func (c *connection) shape(status string) connectionShape {
	return connectionShape{c.Name, c.ARN, c.Provider, status, c.CreatedAt}
}

type createConnectionInput struct {
	ConnectionName *string
	ProviderType   *string
	Tags           []tagShape
}

type connectionOutput struct{ Connection connectionShape }

func (s *Service) createConnection(_ context.Context, in createConnectionInput) (out connectionOutput, err error) {
	var c checks
	c.name("connectionName", in.ConnectionName, scalingName, 32)
	c.Present("providerType", in.ProviderType != nil)
	c.EnumOf("providerType", in.ProviderType, "GITHUB", "BITBUCKET")
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return out, err
	}
	made := &connection{Name: *in.ConnectionName, Provider: *in.ProviderType, CreatedAt: s.now(), Tags: map[string]string{}}
	made.ARN = s.arn("connection/%s/%s", made.Name, hex32())
	put(made.Tags, in.Tags)
	err = s.doc.Update(func(st *state) error {
		switch {
		case slices.ContainsFunc(st.Connections, func(c *connection) bool { return c.Name == made.Name }):
			return wire.Errorf(invalidRequest, "Connection with the provided name already exists: %s.", made.Name)
		case len(st.Connections) >= maxConnections:
			return quota(maxConnections, "connections")
		}
		st.Connections = append(st.Connections, made)
		out.Connection = made.shape(pendingHandshake)
		return nil
	})
	return out, err
}

type connectionInput struct{ ConnectionArn *string }

func (s *Service) deleteConnection(_ context.Context, in connectionInput) (out connectionOutput, err error) {
	var c checks
	c.arn("connectionArn", in.ConnectionArn)
	if err := c.err(); err != nil {
		return out, err
	}
	err = s.doc.Update(func(st *state) error {
		i := st.connection(*in.ConnectionArn)
		if i < 0 {
			return wire.Errorf(notFound, "Connection with the provided ARN doesn't exist: %s.", *in.ConnectionArn)
		}
		out.Connection = st.Connections[i].shape("DELETED")
		st.Connections = slices.Delete(st.Connections, i, i+1)
		return nil
	})
	return out, err
}

// connection is the index of a connection, -1 if there is none.
func (st *state) connection(arn string) int {
	return slices.IndexFunc(st.Connections, func(c *connection) bool { return c.ARN == arn })
}

type listConnectionsInput struct {
	ConnectionName *string
	pageInput
}

type connectionsOutput struct {
	ConnectionSummaryList []connectionShape
	NextToken             string `json:",omitempty"`
}

func (s *Service) listConnections(_ context.Context, in listConnectionsInput) (out connectionsOutput, err error) {
	var c checks
	c.optionalName("connectionName", in.ConnectionName, scalingName, 32)
	c.page(in.pageInput, 100)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []connectionShape
	s.doc.View(func(st *state) {
		for _, c := range st.Connections {
			if in.ConnectionName == nil || *in.ConnectionName == c.Name {
				all = append(all, c.shape(pendingHandshake))
			}
		}
	})
	key := func(c connectionShape) string { return c.ConnectionArn }
	out.ConnectionSummaryList, out.NextToken, err = paged("connections "+value(in.ConnectionName), all, key, in.pageInput)
	return out, err
}

// refuseCode answers a service whose source is a repository of code. Such a service
// needs an approved connection, which no connection of the sandbox is.
// https://docs.aws.amazon.com/apprunner/latest/api/API_AuthenticationConfiguration.html
func (s *Service) refuseCode(source *sourceShape) error {
	if auth := source.AuthenticationConfiguration; auth == nil || auth.ConnectionArn == nil || auth.AccessRoleArn != nil {
		return wire.Errorf(invalidRequest, "Authentication configuration is invalid.")
	}
	arn, known := *source.AuthenticationConfiguration.ConnectionArn, false
	s.doc.View(func(st *state) { known = st.connection(arn) >= 0 })
	if !known {
		return wire.Errorf(invalidRequest, "Connection with the provided ARN doesn't exist: %s.", arn)
	}
	return wire.Errorf(invalidRequest, "The connection %s can't be used, because it isn't in AVAILABLE state. Current state: %s.", arn, pendingHandshake)
}
