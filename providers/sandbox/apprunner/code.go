package apprunner

// codeShape is a source that App Runner would build. The sandbox judges it as AWS does
// and goes no further; see refuseCode.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CodeRepository.html
type codeShape struct {
	RepositoryUrl     *string           `json:",omitempty"`
	SourceCodeVersion *codeVersionShape `json:",omitempty"`
	CodeConfiguration *codeConfigShape  `json:",omitempty"`
	SourceDirectory   *string           `json:",omitempty"`
}

type codeVersionShape struct{ Type, Value *string }

type codeConfigShape struct {
	ConfigurationSource     *string          `json:",omitempty"`
	CodeConfigurationValues *codeValuesShape `json:",omitempty"`
}

type codeValuesShape struct {
	Runtime      *string `json:",omitempty"`
	BuildCommand *string `json:",omitempty"`
	imageConfigShape
}

var sourceDirectory = whole(`[^\x00]+`)

func (c *checks) code(s *codeShape) {
	const at = "sourceConfiguration.codeRepository."
	c.Present(at+"repositoryUrl", s.RepositoryUrl != nil)
	c.LengthOf(at+"repositoryUrl", s.RepositoryUrl, 0, maxString)
	c.Present(at+"sourceCodeVersion", s.SourceCodeVersion != nil)
	if v := s.SourceCodeVersion; v != nil {
		c.Present(at+"sourceCodeVersion.type", v.Type != nil)
		c.EnumOf(at+"sourceCodeVersion.type", v.Type, "BRANCH")
		c.Present(at+"sourceCodeVersion.value", v.Value != nil)
		c.LengthOf(at+"sourceCodeVersion.value", v.Value, 0, maxString)
	}
	c.LengthOf(at+"sourceDirectory", s.SourceDirectory, 1, 4096)
	c.match(at+"sourceDirectory", s.SourceDirectory, sourceDirectory)
	if s.CodeConfiguration == nil {
		return
	}
	const in = at + "codeConfiguration."
	c.Present(in+"configurationSource", s.CodeConfiguration.ConfigurationSource != nil)
	c.EnumOf(in+"configurationSource", s.CodeConfiguration.ConfigurationSource, "REPOSITORY", "API")
	if v := s.CodeConfiguration.CodeConfigurationValues; v != nil {
		const values = in + "codeConfigurationValues."
		c.Present(values+"runtime", v.Runtime != nil)
		c.EnumOf(values+"runtime", v.Runtime, "PYTHON_3", "NODEJS_12", "NODEJS_14", "CORRETTO_8", "CORRETTO_11", "NODEJS_16", "GO_1",
			"DOTNET_6", "PHP_81", "RUBY_31", "PYTHON_311", "NODEJS_18", "NODEJS_22")
		c.command(values+"buildCommand", v.BuildCommand)
		c.settings(values, &v.imageConfigShape)
	}
}
