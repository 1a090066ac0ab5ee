package zohosim

const notesModule = "Notes"

// The fields that every module has, and those of each. Zoho: modules and
// fields; lengths as in a new organisation.
const (
	systemFields = `
id bigint fixed
Owner ownerlookup
Created_By ownerlookup fixed
Modified_By ownerlookup fixed
Created_Time datetime fixed
Modified_Time datetime fixed
Tag text fixed
Record_Status__s picklist Available|Trash;fixed
Locked__s boolean fixed`
	contactFields = `
Salutation picklist Mr.|Mrs.|Ms.|Dr.|Prof.
First_Name text 40
Last_Name text 80;must
Full_Name text fixed
Email email
Secondary_Email email
Phone phone
Mobile phone
Home_Phone phone
Other_Phone phone
Asst_Phone phone
Fax phone
Account_Name lookup Accounts
Reporting_To lookup Contacts
Title text 100
Department text 50
Lead_Source picklist Advertisement|Cold Call|Employee Referral|External Referral|Partner|Web Download|Chat
Date_of_Birth date
Assistant text 50
Mailing_Street text 250
Mailing_City text 100
Mailing_State text 100
Mailing_Zip text 30
Mailing_Country text 100
Other_Street text 250
Other_City text 100
Other_State text 100
Other_Zip text 30
Other_Country text 100
Description textarea large
Email_Opt_Out boolean
Unsubscribed_Mode picklist fixed
Unsubscribed_Time datetime fixed
Last_Activity_Time datetime fixed
Change_Log_Time__s datetime fixed
Skype_ID text 50
Twitter text 50
Data_Source picklist fixed
Enrich_Status__s picklist Available|Enriched|Data not found;fixed
Record_Image text fixed;untyped`
	leadFields = `
Salutation picklist Mr.|Mrs.|Ms.|Dr.|Prof.
First_Name text 40
Last_Name text 80;must
Full_Name text fixed
Company text 200
Designation text 100
Email email
Secondary_Email email
Phone phone
Mobile phone
Fax phone
Website website
Lead_Source picklist Advertisement|Cold Call|Employee Referral|External Referral|Partner|Web Download|Chat
Lead_Status picklist Attempted to Contact|Contact in Future|Contacted|Junk Lead|Lost Lead|Not Contacted|Pre-Qualified|Not Qualified
Industry picklist ASP|Data|ERP|Management|Non-management|Optical Networking|Service Provider
Annual_Revenue currency
No_of_Employees integer
Rating picklist Acquired|Active|Market Failed|Project Cancelled|Shut Down
Street text 250
City text 100
State text 100
Zip_Code text 30
Country text 100
Description textarea large
Email_Opt_Out boolean
Unsubscribed_Mode picklist fixed
Unsubscribed_Time datetime fixed
Skype_ID text 50
Twitter text 50
Converted__s boolean fixed
Last_Activity_Time datetime fixed`
	accountFields = `
Account_Name text 200;must
Account_Number bigint
Phone phone
Fax phone
Website website
Industry picklist ASP|Data|ERP|Management|Service Provider
Description textarea large
Billing_Street text 250
Billing_City text 100
Billing_Country text 100`
	noteFields = `
Note_Title text 120
Note_Content textarea 65535
Parent_Id lookup`
	customFields = `
Email email
Secondary_Email email
Email_Opt_Out boolean
Unsubscribed_Mode picklist fixed
Unsubscribed_Time datetime fixed
Last_Activity_Time datetime fixed`
)

// standardModules needs no lock: nobody knows the server yet.
func (s *Server) standardModules() {
	for _, m := range []struct{ name, singular, display, system, fields string }{
		{"Leads", "Lead", "Full_Name", "Email", leadFields},
		{"Contacts", "Contact", "Full_Name", "Email", contactFields},
		{"Accounts", "Account", "Account_Name", "Account_Name", accountFields},
		{notesModule, "Note", "Note_Title", "", noteFields},
		{tasksModule, "Task", "Subject", "", taskFields},
	} {
		s.addModule(m.name, m.singular, m.name, m.display, m.system, parseFields(m.fields))
	}
}

// addModule needs s.mu.
func (s *Server) addModule(name, singular, plural, display, system string, fields []*field) *module {
	m := &module{
		id: s.newID(), name: name, singular: singular, plural: plural, display: display, system: system,
		byName: map[string]*field{}, byID: map[int64]*record{}, indexes: map[string]map[string][]*record{},
		phones: map[string][]*record{}, texts: map[aspect]*texts{}, tags: map[string]*tag{},
	}
	for _, f := range append(parseFields(systemFields), fields...) {
		s.addField(m, f)
	}
	if system != "" {
		m.indexed(system)
	}
	s.modules[name] = m
	s.order = append(s.order, m)
	return m
}

func (s *Server) addField(m *module, f *field) {
	f.id = s.newID()
	m.fields = append(m.fields, f)
	m.byName[f.name] = f
	if f.key() {
		m.indexed(f.name)
	}
}
