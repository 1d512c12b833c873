package zoo

// Choices lists the networks that are registered, for package recipe; name is the one key that asks.
func (Options) Choices(string) []string { return models.Names() }

// Choices lists the heads that are registered, for package recipe; name is the one key that asks.
func (HeadOptions) Choices(string) []string { return heads.Names() }
