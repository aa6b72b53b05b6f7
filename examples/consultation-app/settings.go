package main

// settings are what the environment says. Of secrets only whether they are set is kept,
// so that nothing can print them.
type settings struct {
	port           string
	publishableKey string // public: the page shows it
	clerk          present
	jwks           present
	openai         present
}

// present says whether a variable is set.
type present bool

func (p present) String() string {
	if p {
		return "set"
	}
	return "not set"
}

func (p present) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func settingsFrom(lookup func(string) (string, bool)) settings {
	get := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	s := settings{
		port:           get("PORT"),
		publishableKey: get("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"),
		clerk:          get("CLERK_SECRET_KEY") != "",
		jwks:           get("CLERK_JWKS_URL") != "",
		openai:         get("OPENAI_API_KEY") != "",
	}
	if s.port == "" {
		s.port = "8000"
	}
	return s
}
