package ecr

import (
	"cmp"
	"context"
	"encoding/base64"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type authorizationIn struct {
	RegistryIDs []string `json:"registryIds"`
}

type authorization struct {
	Token         string    `json:"authorizationToken"`
	ExpiresAt     wire.Time `json:"expiresAt"`
	ProxyEndpoint string    `json:"proxyEndpoint"`
}

type authorizationOut struct {
	Data []authorization `json:"authorizationData"`
}

func (s *Service) getAuthorizationToken(_ context.Context, in authorizationIn) (*authorizationOut, error) {
	n := 1
	if in.RegistryIDs != nil {
		if n = len(in.RegistryIDs); n < 1 || n > 10 {
			return nil, checkCount("registryIds", n, 10)
		}
	}
	password, expires := s.issue()
	one := authorization{base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), wire.At(expires), s.endpoint()}
	out := &authorizationOut{}
	for range n {
		out.Data = append(out.Data, one)
	}
	return out, nil
}

type registryIn struct {
	RegistryID string `json:"registryId"`
}

type rules struct {
	ScanType string     `json:"scanType,omitempty"`
	Rules    []struct{} `json:"rules"`
}

type registryOut struct {
	RegistryID  string `json:"registryId"`
	Replication rules  `json:"replicationConfiguration"`
}

func (s *Service) describeRegistry(context.Context, registryIn) (*registryOut, error) {
	return &registryOut{s.account, rules{Rules: []struct{}{}}}, nil
}

type scanningOut struct {
	RegistryID string `json:"registryId"`
	Scanning   rules  `json:"scanningConfiguration"`
}

func (s *Service) getRegistryScanningConfiguration(context.Context, registryIn) (*scanningOut, error) {
	return &scanningOut{s.account, rules{"BASIC", []struct{}{}}}, nil
}

// settings are an account's, with their values; the first is the default.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutAccountSetting.html
func settings(name string) []string {
	switch name {
	case "BLOB_MOUNTING":
		return []string{"DISABLED", "ENABLED"}
	case "BASIC_SCAN_TYPE_VERSION":
		return []string{"AWS_NATIVE", "CLAIR"}
	case "REGISTRY_POLICY_SCOPE":
		return []string{"V2", "V1"}
	default:
		return nil
	}
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (s *Service) putAccountSetting(_ context.Context, in setting) (*setting, error) {
	if settings(in.Name) == nil {
		return nil, constraint("name", "Invalid setting name '%s'", in.Name)
	}
	if err := checkEnum("value", in.Value, settings(in.Name)...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.Settings[in.Name] = in.Value
	return &in, failed(s.disk.saveRegistry(s.registry))
}

func (s *Service) getAccountSetting(_ context.Context, in setting) (*setting, error) {
	values := settings(in.Name)
	if values == nil {
		return nil, constraint("name", "Invalid setting name '%s'", in.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &setting{in.Name, cmp.Or(s.registry.Settings[in.Name], values[0])}, nil
}
